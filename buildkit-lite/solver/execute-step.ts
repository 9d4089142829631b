import type { CachedStep } from '../contract.ts'
import { createLayer } from '../layers/create-layer.ts'
import type { CopyOperation, RunOperation, WorkdirOperation } from '../plan/plan.ts'
import { EMPTY_CHAIN, extendChain } from './chain.ts'
import { executeCopy, executeWorkdir, isLinked } from './execute-copy.ts'
import { executeRun } from './execute-run.ts'
import { materialise } from './layer-files.ts'
import type { StepScope } from './step-scope.ts'

export type LayerOperation = RunOperation | CopyOperation | WorkdirOperation

/** Carries out one step on a new snapshot, makes its layer, and keeps the snapshot for the steps on top. */
export async function executeStep(
  scope: StepScope,
  operation: LayerOperation,
  signal: AbortSignal,
): Promise<CachedStep> {
  const { tools } = scope
  const input = operation.kind === 'copy' && isLinked(operation) ? EMPTY_CHAIN : scope.chainOf(operation.input)
  await using snapshot = await tools.snapshots.prepare(await materialise(tools, input, signal))
  // Only a container needs mount points; for the others an empty /proc is a directory like any other.
  const root = await snapshot.mount({ mountPoints: operation.kind === 'run' })
  await carryOut(scope, operation, root, signal)
  const createdAtMs = tools.now()
  const { descriptor, diffId, warnings } = await createLayer(snapshot, { compression: 'gzip' }, tools.blobs, signal)
  for (const warning of warnings) await scope.note(`${warning}\n`)
  const layer = { descriptor, diffId }
  const { id } = extendChain(input, [{ layer, source: null }])
  if (id !== null && !(await tools.snapshots.has(id))) await snapshot.commit(id)
  return { layer, createdAtMs }
}

async function carryOut(scope: StepScope, operation: LayerOperation, root: string, signal: AbortSignal): Promise<void> {
  switch (operation.kind) {
    case 'run':
      return await executeRun(scope, operation, root, signal)
    case 'copy':
      return await executeCopy(scope, operation, root, signal)
    case 'workdir':
      executeWorkdir(scope, operation, root)
      return
    default:
      operation satisfies never
  }
}
