import { parseImageReference } from '#domain/image-reference'
import type { BuiltGraph } from '../built-result.ts'
import type { ResolvedImage } from '../plan/plan.ts'
import { formatPlatform, normalisePlatform } from '../plan/platform.ts'
import { imagePurl, packageUrl } from './purl.ts'

/** Something that a build took from outside, with what it was. */
export interface Material {
  uri: string
  digest?: Readonly<Record<string, string>>
}

/** Images, repositories and downloads that the graph's steps use, each once; local contexts have no name to be told. */
export async function materialsOf({ plan, request, remote }: BuiltGraph, signal: AbortSignal): Promise<Material[]> {
  const materials = new Map<string, Material>()
  const add = (material: Material): void => void materials.set(material.uri, material)
  for (const { operation } of plan.steps) {
    if (operation.kind === 'base') add(imageMaterial(operation.image))
    if (operation.kind !== 'copy') continue
    for (const source of operation.sources)
      if (source.kind === 'http' || source.kind === 'git') add(await remote.origin(source, signal))
  }
  const named = Object.values(request.namedContexts).flatMap((one) => (one.kind === 'context' ? [one.context] : []))
  for (const { origin } of [request.context, ...named]) if (origin) add(origin)
  return [...materials.values()]
}

export const LAYOUT = 'oci-layout://'

/** The last part of a layout's path: the rest is the builder's own affair. */
export function layoutName(reference: string): string {
  const path = reference.slice(LAYOUT.length).split('@', 1)[0] ?? ''
  return path.slice(path.lastIndexOf('/') + 1)
}

function imageMaterial({ reference, manifestDigest, config }: ResolvedImage): Material {
  const { os, architecture, variant } = config
  const platform = normalisePlatform({ os, architecture, ...(variant ? { variant } : {}) })
  const digest = digestOfChecksum(manifestDigest)
  if (!reference.startsWith(LAYOUT)) return { uri: imagePurl(parseImageReference(reference), platform), ...digest }
  const qualifiers = { platform: formatPlatform(platform) }
  return { uri: packageUrl({ type: 'oci', name: layoutName(reference), qualifiers }), ...digest }
}

function digestOfChecksum(checksum: string | null): Pick<Material, 'digest'> {
  const [algorithm, hex] = checksum?.split(':') ?? []
  return algorithm && hex ? { digest: { [algorithm]: hex } } : {}
}
