import type { ParsedDockerfile } from '../dockerfile/parse.ts'
import type { Linter } from '../lint/linter.ts'
import type { RemoteCopySource } from '../remote/remote-sources.ts'
import type { PlannedContext } from './named-contexts.ts'
import type { ImageResolver, Platform } from './plan.ts'

/** Everything a plan depends on. */
export interface PlanInput {
  dockerfile: ParsedDockerfile
  target: string | null
  buildArgs: Readonly<Record<string, string>>
  labels: Readonly<Record<string, string>>
  platform: Platform
  /** Whether `platform` was asked for: the image then says it, whatever its base is for. */
  platformGiven?: boolean
  buildPlatform: Platform
  network: 'default' | 'none' | 'host'
  namedContexts: Readonly<Record<string, PlannedContext>>
  resolver: ImageResolver
  /** Is told what planning knows where its rules need it. */
  lint?: Linter
  /** Plans also what the target does not need. */
  allStages?: boolean
  /** When what SOURCE_DATE_EPOCH may name was made, in Unix seconds; null where nothing says it. */
  timestamps?: SourceTimestamps
}

export interface SourceTimestamps {
  /** Of the main context, or of the named one. */
  ofContext: (name: string | null) => number | null
  ofRemote: (source: RemoteCopySource, signal: AbortSignal) => Promise<number | null>
}
