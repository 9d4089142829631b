import { SourceError } from '#domain/errors'
import type { BuildRequest, BuildTools } from '../contract.ts'
import { makePlan } from '../make-plan.ts'
import type { PlanWarning } from '../plan/plan.ts'
import { openLinter } from './linter.ts'

/** What the rules have to say of a whole Dockerfile, and the mistake that ends its reading. */
export interface CheckResult {
  warnings: readonly PlanWarning[]
  error: SourceError | null
  /** The file as it was read. */
  source: { name: string; text: string }
}

/**
 * Reads and plans a Dockerfile for its warnings only; nothing is built. Where no target is asked for, all stages are
 * looked at.
 */
export async function checkDockerfile(
  request: BuildRequest,
  { registry }: Pick<BuildTools, 'registry'>,
  signal: AbortSignal,
): Promise<CheckResult> {
  const lint = openLinter(request)
  try {
    await makePlan(request, { registry, lint, allStages: request.target === null }, signal)
    return { warnings: lint.warnings, error: null, source: lint.source }
  } catch (error) {
    if (!(error instanceof SourceError)) throw error
    return { warnings: lint.warnings, error, source: lint.source }
  }
}
