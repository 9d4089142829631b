import type { Layer } from '#domain/digest'
import { SlipwayError } from '#domain/errors'
import type { BuiltImage } from './contract.ts'
import { parseDockerfile } from './dockerfile/parse.ts'
import { hostPlatform } from './host-platform.ts'
import { composeImage } from './image/compose-image.ts'
import { fillHistory } from './image/fill-history.ts'
import type { BlobStore } from './layers/blob-store.ts'
import { createLayerFromTree } from './layers/create-layer.ts'
import { importTar } from './layers/import-tar.ts'
import type { Plan } from './plan/plan.ts'
import { planDockerfile } from './plan/plan-dockerfile.ts'

/** A root file system: a directory, or the bytes of a tar archive in any usual compression. */
export type RootfsSource = { kind: 'directory'; path: string } | { kind: 'archive'; bytes: AsyncIterable<Uint8Array> }

/** Makes a root file system a one-layer image. `changes` are instructions for the config, such as `CMD ["sh"]`. */
export async function importRootfs(
  source: RootfsSource,
  changes: readonly string[],
  blobs: BlobStore,
  signal: AbortSignal,
): Promise<BuiltImage> {
  const plan = await planChanges(changes, signal)
  const layer = await makeLayer(source, blobs, signal)
  const imported = { entry: { created_by: 'slipway import', comment: 'imported root file system' }, step: 0 }
  const stepLayers = new Map([[0, { layer, createdAtMs: Date.now() }]])
  const { entries, created } = fillHistory([imported, ...plan.target.history], stepLayers)
  const image = composeImage({ plannedConfig: plan.target.config, history: entries, layers: [layer], created })
  const content = { open: async (one: Layer, signal: AbortSignal) => await blobs.read(one.descriptor.digest, signal) }
  return { ...image, content, baseRepository: null }
}

async function planChanges(changes: readonly string[], signal: AbortSignal): Promise<Plan> {
  const platform = hostPlatform()
  const resolver = {
    resolve: (): never => {
      throw new SlipwayError('invalid', 'An import has no base image')
    },
  }
  const plan = await planDockerfile(
    {
      dockerfile: parseDockerfile(['FROM scratch', ...changes, ''].join('\n'), 'changes'),
      target: null,
      buildArgs: {},
      labels: {},
      platform,
      buildPlatform: platform,
      network: 'none',
      namedContexts: {},
      resolver,
    },
    signal,
  )
  if (plan.steps.length === 0) return plan
  throw new SlipwayError('invalid', `An import can change the config only, which "${plan.steps[0]?.title}" does not`)
}

async function makeLayer(source: RootfsSource, blobs: BlobStore, signal: AbortSignal): Promise<Layer> {
  const options = { compression: 'gzip' } as const
  const { descriptor, diffId } =
    source.kind === 'directory'
      ? await createLayerFromTree(source.path, options, blobs, signal)
      : await importTar(source.bytes, options, blobs, signal)
  return { descriptor, diffId }
}
