import { createHash } from 'node:crypto'
import type { Digest, Layer } from '#domain/digest'
import type { SnapshotKey } from '#sandbox'

/** A layer of a file system under construction; `source` says where a base image's blob can be had. */
export interface ChainLayer {
  layer: Layer
  source: string | null
}

/** A file system as the stack of layers it is made of, bottom first. It need not be on disk. */
export interface Chain {
  layers: readonly ChainLayer[]
  /** Null for the empty file system. https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid */
  id: SnapshotKey | null
}

export const EMPTY_CHAIN: Chain = { layers: [], id: null }

export function extendChain(chain: Chain, layers: readonly ChainLayer[]): Chain {
  return {
    layers: [...chain.layers, ...layers],
    id: layers.reduce<SnapshotKey | null>((id, { layer }) => chainId(id, layer.diffId), chain.id),
  }
}

export function chainId(parent: SnapshotKey | null, diffId: Digest): SnapshotKey {
  if (parent === null) return diffId
  return `sha256:${createHash('sha256').update(`${parent} ${diffId}`).digest('hex')}`
}
