import { SyntaxFault } from '../dockerfile/errors.ts'
import type { Platform } from './plan.ts'

const OPERATING_SYSTEMS = ['linux', 'windows', 'darwin', 'freebsd', 'netbsd', 'openbsd', 'wasip1']
const ARCHITECTURES: Readonly<Record<string, { architecture: string; variant?: string }>> = {
  amd64: { architecture: 'amd64' },
  x86_64: { architecture: 'amd64' },
  'x86-64': { architecture: 'amd64' },
  arm64: { architecture: 'arm64' },
  aarch64: { architecture: 'arm64' },
  arm: { architecture: 'arm', variant: 'v7' },
  armhf: { architecture: 'arm', variant: 'v7' },
  armel: { architecture: 'arm', variant: 'v6' },
  '386': { architecture: '386' },
  i386: { architecture: '386' },
  ppc64le: { architecture: 'ppc64le' },
  riscv64: { architecture: 'riscv64' },
  s390x: { architecture: 's390x' },
  loong64: { architecture: 'loong64' },
  mips64le: { architecture: 'mips64le' },
  wasm: { architecture: 'wasm' },
}

const COMPONENT = /^[A-Za-z0-9_.-]+$/
const OS_COMPONENT = /^[A-Za-z0-9_-]+(?:\([A-Za-z0-9_.-]*\))?$/

/** `os[/architecture[/variant]]`, or one of the two alone, which has to be known; what is missing is `fallback`'s. */
export function parsePlatform(text: string, fallback: Platform): Platform {
  const fail = (why: string): never => {
    throw new SyntaxFault(`failed to parse platform ${text}: "${text}": ${why}`)
  }
  const [first = '', second, variant, ...more] = text.split('/')
  if (text.includes('*')) fail('wildcards not yet supported')
  if (!OS_COMPONENT.test(first)) fail(`"${first}" is an invalid component`)
  const wrong = [second, variant].find((part) => part !== undefined && !COMPONENT.test(part))
  if (wrong !== undefined) fail(`"${wrong}" is an invalid component`)
  if (more.length > 0) fail('cannot parse platform specifier')
  const os = first.toLowerCase() === 'macos' ? 'darwin' : first.toLowerCase()
  if (second !== undefined) return normalisePlatform({ os, ...spellArchitecture(second), ...pickVariant(variant) })
  if (OPERATING_SYSTEMS.includes(os)) return normalisePlatform({ ...fallback, os })
  const known = ARCHITECTURES[os] ?? fail('unknown operating system or architecture')
  return normalisePlatform({ os: fallback.os, ...known })
}

function spellArchitecture(text: string): { architecture: string; variant?: string } {
  return ARCHITECTURES[text.toLowerCase()] ?? { architecture: text.toLowerCase() }
}

/** One spelling of each variant; the one that every machine of an architecture has says nothing and goes away. */
export function normalisePlatform(platform: Platform): Platform {
  const { os, architecture } = platform
  const variant = platform.variant?.toLowerCase().replace(/^(\d)/, 'v$1')
  switch (architecture) {
    case 'amd64':
      return { os, architecture, ...pickVariant(variant === 'v1' ? undefined : variant) }
    case 'arm64':
      return { os, architecture, ...pickVariant(variant === 'v8' ? undefined : variant) }
    case 'arm':
      return { os, architecture, variant: variant || 'v7' }
    default:
      return { os, architecture, ...pickVariant(variant) }
  }
}

function pickVariant(variant: string | undefined): { variant?: string } {
  return variant ? { variant } : {}
}

/** `linux/arm/v7`. */
export function formatPlatform(platform: Platform): string {
  const { os, architecture, variant } = platform
  return `${os}/${architecture}${variant ? `/${variant}` : ''}`
}

/** The arguments that every Dockerfile has without declaring them in its global scope. */
export function automaticArgs(build: Platform, target: Platform, stage: string): Map<string, string> {
  const args = new Map<string, string>()
  for (const [prefix, platform] of [
    ['BUILD', build],
    ['TARGET', target],
  ] as const) {
    args.set(`${prefix}PLATFORM`, formatPlatform(platform))
    args.set(`${prefix}OS`, platform.os)
    args.set(`${prefix}OSVERSION`, '')
    args.set(`${prefix}ARCH`, platform.architecture)
    args.set(`${prefix}VARIANT`, platform.variant ?? '')
  }
  args.set('TARGETSTAGE', stage)
  return args
}
