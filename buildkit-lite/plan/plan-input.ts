import type { ParsedDockerfile } from '../dockerfile/parse.ts'
import type { ImageResolver, Platform } from './plan.ts'
import type { PlannedContext } from './stage-graph.ts'

/** Everything a plan depends on. */
export interface PlanInput {
  dockerfile: ParsedDockerfile
  target: string | null
  buildArgs: Readonly<Record<string, string>>
  labels: Readonly<Record<string, string>>
  platform: Platform
  buildPlatform: Platform
  network: 'default' | 'none' | 'host'
  namedContexts: Readonly<Record<string, PlannedContext>>
  resolver: ImageResolver
}
