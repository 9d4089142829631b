import type { Descriptor, Digest, Layer } from '#domain/digest'
import { SlipwayError } from '#domain/errors'
import type { ActiveSnapshot } from '#sandbox'
import type { CachedStep, ImageSettings } from '../contract.ts'
import type { Compression } from '../layers/compression.ts'
import { type CreatedLayer, createLayer, type ReadTree } from '../layers/create-layer.ts'
import type { CopyOperation, RunOperation, WorkdirOperation } from '../plan/plan.ts'
import { EMPTY_CHAIN, extendChain } from './chain.ts'
import { executeCopy, executeWorkdir, isLinked } from './execute-copy.ts'
import { executeRun } from './execute-run.ts'
import { materialise } from './layer-files.ts'
import type { Semaphore } from './semaphore.ts'
import type { StepScope } from './step-scope.ts'

export type LayerOperation = RunOperation | CopyOperation | WorkdirOperation

/** How a step's end comes in two parts. */
export interface StepEnds {
  /** Bounds how many layers are made at once, and so memory and disk. */
  layerSlots: Semaphore
  /** Told when steps on top can start: the files are kept, the layer's blob is not there yet. Not always told. */
  onFiles: (step: CachedStep) => void
}

/**
 * Carries out one step on a new snapshot, makes its layer, and keeps the snapshot for the steps on top. Resolves when
 * the layer is complete.
 */
export async function executeStep(
  scope: StepScope,
  operation: LayerOperation,
  ends: StepEnds,
  signal: AbortSignal,
): Promise<CachedStep> {
  const { tools } = scope
  const linked = operation.kind === 'copy' && isLinked(operation)
  const input = linked ? EMPTY_CHAIN : scope.chainOf(operation.input)
  await using snapshot = await tools.snapshots.prepare(await materialise(tools, input, signal))
  // Only a container needs mount points; for the others an empty /proc is a directory like any other.
  const root = await snapshot.mount({ mountPoints: operation.kind === 'run' })
  await carryOut(scope, operation, root, signal)
  using _slot = await ends.layerSlots.acquire(signal)
  const createdAtMs = tools.now()
  const { read, complete } = startLayer(scope, snapshot, signal)
  try {
    const { diffId, warnings } = await read
    for (const warning of warnings) await scope.note(`${warning}\n`)
    const layer = unfinishedLayer(diffId)
    const { id } = extendChain(input, [{ layer, source: null }])
    if (id !== null && !(await tools.snapshots.has(id))) await snapshot.commit(id)
    // What a linked copy made lies on other files than those of the steps on top: they have to unpack it.
    if (!linked) ends.onFiles({ layer, createdAtMs })
  } finally {
    // Nothing goes on behind the back of whoever is told of a failure.
    await complete.catch(() => {})
  }
  const { descriptor, diffId } = await complete
  return { layer: { descriptor, diffId }, createdAtMs }
}

function startLayer(
  { tools, request }: StepScope,
  snapshot: ActiveSnapshot,
  signal: AbortSignal,
): { read: Promise<ReadTree>; complete: Promise<CreatedLayer> } {
  const { promise, resolve } = Promise.withResolvers<ReadTree>()
  const options = { compression: compressionFor(request.image), onRead: resolve }
  const complete = createLayer(snapshot, options, tools.blobs, signal)
  return { read: Promise.race([promise, complete]), complete }
}

/** What the image is to have at once, where nothing else is asked of it; other forms are made of this one later. */
function compressionFor({ compression, rewriteTimestamp }: ImageSettings): Compression {
  return compression.level === null && !rewriteTimestamp ? compression.kind : 'gzip'
}

/** A layer whose blob is on its way: its files can be used, its descriptor cannot. */
function unfinishedLayer(diffId: Digest): Layer {
  return {
    diffId,
    get descriptor(): Descriptor {
      throw new SlipwayError('internal', `The layer with the diffID ${diffId} is used before its blob is complete`)
    },
  }
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
