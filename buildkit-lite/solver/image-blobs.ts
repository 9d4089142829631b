import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { type Descriptor, digestHex, type Layer } from '#domain/digest'
import { SlipwayError } from '#domain/errors'
import { formatImageReference, parseImageReference } from '#domain/image-reference'
import type { Registry } from '../registry/contract.ts'

const REGISTRY = 'registry:'
const LAYOUT = 'oci-layout:'

/** `ResolvedImage.source` of an image in a registry. */
export function registrySource(reference: Parameters<typeof formatImageReference>[0]): string {
  return REGISTRY + formatImageReference(reference)
}

/** `ResolvedImage.source` of an image in an OCI layout directory. */
export function layoutSource(dir: string): string {
  return LAYOUT + dir
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
  if (source.startsWith(LAYOUT)) return createReadStream(layoutBlob(source.slice(LAYOUT.length), descriptor))
  throw new SlipwayError('internal', `Image source ${source} is neither ${REGISTRY} nor ${LAYOUT}`)
}

export function layoutBlob(dir: string, descriptor: Pick<Descriptor, 'digest'>): string {
  return join(dir, 'blobs', 'sha256', digestHex(descriptor.digest))
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
