import type { Readable } from 'node:stream'
import { type Descriptor, digestHex, type Layer } from '#domain/digest'
import { SlipwayError } from '#domain/errors'
import { formatImageReference, parseImageReference } from '#domain/image-reference'
import type { Registry } from '../registry/contract.ts'
import { openLayoutFile } from './layout-files.ts'

const REGISTRY = 'registry:'
const LAYOUT = 'oci-layout:'

/** `ResolvedImage.source` of an image in a registry. */
export function registrySource(reference: Parameters<typeof formatImageReference>[0]): string {
  return REGISTRY + formatImageReference(reference)
}

/** `ResolvedImage.source` of an image in an OCI layout, as a directory or a tar. */
export function layoutSource(path: string): string {
  return LAYOUT + path
}

/** Opens a base image's blob where its image came from. */
export async function openSourceBlob(
  source: string,
  descriptor: Descriptor,
  registry: Registry,
  signal: AbortSignal,
): Promise<Readable> {
  if (source.startsWith(REGISTRY))
    return await registry.openBlob(parseImageReference(source.slice(REGISTRY.length)), descriptor, signal)
  if (source.startsWith(LAYOUT)) return await openLayoutFile(source.slice(LAYOUT.length), layoutBlob(descriptor))
  throw new SlipwayError('internal', `Image source ${source} is neither ${REGISTRY} nor ${LAYOUT}`)
}

/** The name of a blob inside a layout. */
export function layoutBlob(descriptor: Pick<Descriptor, 'digest'>): string {
  return `blobs/sha256/${digestHex(descriptor.digest)}`
}

/** `HOST/NAME` of a registry's image, without tag and digest; null for any other source. */
export function repositoryOf(source: string): string | null {
  if (!source.startsWith(REGISTRY)) return null
  const { registry, repository } = parseImageReference(source.slice(REGISTRY.length))
  return `${registry}/${repository}`
}

/** The layers of a manifest with the diff ids that its config gives them. */
export function pairLayers(name: string, layers: readonly Descriptor[], diffIds: readonly Layer['diffId'][]): Layer[] {
  if (layers.length !== diffIds.length)
    throw new SlipwayError(
      'pull-not-found',
      `${name} has ${layers.length} layers in its manifest, expected ${diffIds.length} as in its config`,
    )
  return layers.flatMap((descriptor, index) => {
    const diffId = diffIds[index]
    return diffId ? [{ descriptor, diffId }] : []
  })
}
