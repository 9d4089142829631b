import type { FileSystem, Operation, Plan, Platform } from '../plan/plan.ts'
import { normalisePlatform } from '../plan/platform.ts'

/**
 * The platform that a step's programs are for: that of the image its stage starts from. So a stage that is pinned to one
 * platform is the same stage for every target.
 */
export function stepPlatform(plan: Plan, index: number, fallback: Platform): Platform {
  for (let at: FileSystem = index; at !== null; ) {
    const operation: Operation | undefined = plan.steps[at]?.operation
    if (!operation) return fallback
    if (operation.kind === 'base') {
      const { os, architecture, variant } = operation.image.config
      return normalisePlatform({ os, architecture, ...(variant ? { variant } : {}) })
    }
    at = operation.input
  }
  return fallback
}
