import type { BuildRequest } from '../contract.ts'
import type { SourceText } from '../dockerfile/errors.ts'
import { readDockerfile } from '../read-dockerfile.ts'
import { describeDefinition } from './describe.ts'

/** A stage that can be built by its name. */
export interface Target {
  /** Empty for a stage without one. */
  name: string
  /** Whether it is built where no target is asked for. */
  isDefault: boolean
  description: string
  /** As written. */
  base: string
  platform: string | null
  line: number
  lastLine: number
}

export interface TargetList {
  targets: readonly Target[]
  source: SourceText
}

/** The stages of a Dockerfile; only its text is read. */
export async function listTargets(request: BuildRequest, signal: AbortSignal): Promise<TargetList> {
  const { stages, source } = await readDockerfile(request, signal)
  const targets = stages.map(({ from, comments, first, last }, index) => ({
    name: from.name ?? '',
    isDefault: index === stages.length - 1,
    description: describeDefinition(comments, from.name),
    base: from.image,
    platform: from.platform,
    line: first,
    lastLine: last,
  }))
  return { targets, source }
}
