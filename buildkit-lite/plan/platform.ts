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

/** `os[/architecture[/variant]]`, or one of the two alone; what is missing comes from `fallback`. */
export function parsePlatform(text: string, fallback: Platform): Platform {
  const [first = '', second, variant] = text.toLowerCase().split('/')
  const alone = second === undefined
  const unknown = `failed to parse platform ${text}: "${text}": unknown operating system or architecture`
  if (alone && !OPERATING_SYSTEMS.includes(first)) {
    const known = ARCHITECTURES[first]
    if (!known) throw new SyntaxFault(unknown)
    return { os: fallback.os, ...known }
  }
  const known = alone ? fallback : ARCHITECTURES[second]
  if (!OPERATING_SYSTEMS.includes(first) || !known) throw new SyntaxFault(unknown)
  return normalisePlatform({ os: first, architecture: known.architecture, ...pickVariant(variant ?? known.variant) })
}

/** The variant every machine of an architecture has says nothing and goes away. */
export function normalisePlatform(platform: Platform): Platform {
  const { os, architecture, variant } = platform
  const implied = (architecture === 'amd64' && variant === 'v1') || (architecture === 'arm64' && variant === 'v8')
  return { os, architecture, ...pickVariant(implied ? undefined : variant) }
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
