import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Layer } from '#domain/digest'
import { SlipwayError } from '#domain/errors'
import { hostPlatform } from './build.ts'
import type { BuiltImage } from './contract.ts'
import { parseDockerfile } from './dockerfile/parse.ts'
import { composeImage } from './image/compose-image.ts'
import { fillHistory } from './image/fill-history.ts'
import type { BlobStore } from './layers/blob-store.ts'
import { commitLayer, createLayerFromTree } from './layers/create-layer.ts'
import { packLayer } from './layers/pack-layer.ts'
import type { Plan } from './plan/plan.ts'
import { planDockerfile } from './plan/plan-dockerfile.ts'
import { openArchive } from './solver/detect-archive.ts'

/** A root file system: a directory, a tar archive in any usual compression, or a stream of one. */
export type RootfsSource =
  | { kind: 'directory'; path: string }
  | { kind: 'archive'; path: string }
  | { kind: 'stream'; bytes: Readable; workDir: string }

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
  switch (source.kind) {
    case 'directory': {
      const { descriptor, diffId } = await createLayerFromTree(source.path, { compression: 'gzip' }, blobs, signal)
      return { descriptor, diffId }
    }
    case 'archive':
      return await packArchive(source.path, blobs)
    case 'stream': {
      const path = join(source.workDir, 'rootfs')
      await pipeline(source.bytes, createWriteStream(path), { signal })
      return await packArchive(path, blobs)
    }
    default:
      return source satisfies never
  }
}

async function packArchive(path: string, blobs: BlobStore): Promise<Layer> {
  const archive = await openArchive(Buffer.from(path))
  if (!archive) throw new SlipwayError('invalid', `${path} is no tar archive, nor one in gzip, bzip2, xz or zstd`)
  await using staged = await blobs.stage()
  const packed = await packLayer(archive as AsyncIterable<Buffer>, { path: staged.path, compression: 'gzip' })
  const { descriptor, diffId } = await commitLayer(staged, packed, 'gzip')
  return { descriptor, diffId }
}
