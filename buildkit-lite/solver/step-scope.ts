import type { Sys } from '#host/sys'
import type { BuildRequest, BuildTools } from '../contract.ts'
import type { CopyOrigin, FileSystem } from '../plan/plan.ts'
import type { RemoteSources } from '../remote/remote-sources.ts'
import type { Chain } from './chain.ts'
import type { ContextTrees, Origin } from './origins.ts'

/** What carrying out one step may use of its build. */
export interface StepScope {
  /** Index in the plan. */
  step: number
  stage: string
  request: BuildRequest
  tools: BuildTools
  sys: Sys
  trees: ContextTrees
  /** The layers of a file system that was solved before this step. */
  chainOf(fileSystem: FileSystem): Chain
  originOf(from: CopyOrigin): Origin
  remote: RemoteSources
  /** Files of a context that are no longer what the step's key says: its result is then for this build only. */
  changedInputs: Set<string>
  /** A line of our own in the step's output. */
  note(text: string): Promise<void>
}
