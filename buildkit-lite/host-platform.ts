import type { Platform } from './plan/plan.ts'

/** The platform of this machine. */
export function hostPlatform(): Platform {
  const architectures: Partial<Record<NodeJS.Architecture, string>> = { x64: 'amd64', ia32: '386' }
  return { os: 'linux', architecture: architectures[process.arch] ?? process.arch }
}
