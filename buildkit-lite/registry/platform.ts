import type { Descriptor } from '#domain/digest'
import type { Platform } from '../plan/plan.ts'

/** A platform as it is written down anywhere. */
interface Named {
  os: string
  architecture: string
  variant?: string | undefined
}

const ARCHITECTURES: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  'x86-64': 'amd64',
  aarch64: 'arm64',
  armhf: 'arm',
  i386: '386',
}

/** The variant that is meant where none is named. */
const DEFAULT_VARIANTS: Readonly<Record<string, string>> = { amd64: 'v1', arm64: 'v8', arm: 'v7' }

/** One spelling of each platform: `x86_64` is `amd64`, and the default variants have no name. */
function normalisePlatform(platform: Named): Platform {
  const os = platform.os.toLowerCase()
  const architecture = ARCHITECTURES[platform.architecture.toLowerCase()] ?? platform.architecture.toLowerCase()
  const variant = platform.variant?.toLowerCase().replace(/^(\d)/, 'v$1')
  const isDefault = !variant || variant === DEFAULT_VARIANTS[architecture]
  return isDefault ? { os, architecture } : { os, architecture, variant }
}

/** The entry of an image index that runs on the platform, the nearest first; null where none does. */
export function selectManifest(manifests: readonly Descriptor[], platform: Named): Descriptor | null {
  for (const wanted of runsOn(normalisePlatform(platform))) {
    const found = manifests.find((one) => one.platform && formatPlatform(one.platform) === wanted)
    if (found) return found
  }
  const [only] = manifests
  return manifests.length === 1 && only && !only.platform ? only : null
}

/** The least variant of architectures whose newer ones run all that the older ones do. */
const LEAST_VARIANTS: Readonly<Record<string, number>> = { amd64: 1, arm: 5 }

function runsOn(platform: Platform): string[] {
  const { os, architecture } = platform
  const least = LEAST_VARIANTS[architecture]
  const own = Number(/^v(\d)$/.exec(platform.variant ?? DEFAULT_VARIANTS[architecture] ?? '')?.[1])
  if (least === undefined || Number.isNaN(own)) return [formatPlatform(platform)]
  const count = Math.max(1, own - least + 1)
  return Array.from({ length: count }, (_, index) => formatPlatform({ os, architecture, variant: `v${own - index}` }))
}

export function formatPlatform(platform: Named): string {
  const { os, architecture, variant } = normalisePlatform(platform)
  return [os, architecture, ...(variant ? [variant] : [])].join('/')
}
