import { SlipwayError } from '#domain/errors'
import { parseImageReference } from '#domain/image-reference'
import { composeAttestations } from './attest/compose-attestations.ts'
import { provenanceOf } from './attest/provenance.ts'
import { imagePurl } from './attest/purl.ts'
import { sbomsOf } from './attest/sbom.ts'
import type { Predicate } from './attest/statement.ts'
import type { AttestationManifest, BuiltGraph, BuiltResult, PlatformImage } from './built-result.ts'
import type { ImageSettings } from './contract.ts'
import { annotationsAt } from './image/annotations.ts'
import { composeIndex, type IndexEntry } from './image/compose-index.ts'
import { DOCKER_TYPES, OCI_TYPES } from './image/media-types.ts'
import { settle } from './image/settle-settings.ts'
import { sideBySide } from './side-by-side.ts'
import { type ImageTools, writeImage } from './write-image.ts'

export interface WriteOptions {
  settings: ImageSettings
  /** What the images are going to be called; what is said of them names them so. */
  names: readonly string[]
}

/**
 * Writes what was built: one image a platform, attestations where they are asked for, and an index of all of them. A
 * single image without attestations is its own result. The same graphs can be written again in another form.
 */
export async function writeResult(
  graphs: readonly BuiltGraph[],
  options: WriteOptions,
  tools: ImageTools,
  signal: AbortSignal,
): Promise<BuiltResult> {
  const epoch = graphs.find(({ plan }) => plan.sourceDateEpoch !== null)?.plan.sourceDateEpoch ?? null
  const { settings, notes } = settle(options.settings, epoch)
  const types = settings.ociMediaTypes ? OCI_TYPES : DOCKER_TYPES
  const writes = graphs.map((graph) => (signal: AbortSignal) => writeImage(graph, settings, { tools, types }, signal))
  const written = await sideBySide(writes, signal)
  const [first, ...others] = written
  if (!first) throw new SlipwayError('internal', 'A result of no platforms was asked for, expected at least one')
  const images: BuiltResult['images'] = [first, ...others]
  const attestations = await attest(graphs, images, { settings, names: options.names, tools }, signal)
  const result = { images, attestations, graphs, notes }
  const created = epoch === null ? {} : { [CREATED]: new Date(epoch * 1000).toISOString().replace('.000Z', 'Z') }
  const isAlone = images.length === 1 && attestations.length === 0 && !graphs.some(wantsIndex)
  if (isAlone) return { ...result, ...single(first, settings, created) }
  const entries = [...images.map((one) => imageEntry(one, settings)), ...attestations.map(attestationEntry)]
  const index = composeIndex(entries, annotationsAt(settings, 'index', null), types)
  const annotations = { ...created, ...annotationsAt(settings, 'index-descriptor', null) }
  return { ...result, ...index, isIndex: true, annotations }
}

/** An index also for a single image, so that its form does not depend on how many platforms are asked for. */
function wantsIndex({ request }: BuiltGraph): boolean {
  return /^(?:1|t|true)$/i.test(request.buildArgs['BUILDKIT_MULTI_PLATFORM'] ?? '')
}

const CREATED = 'org.opencontainers.image.created'

function single(
  { image, platform }: PlatformImage,
  settings: ImageSettings,
  created: Readonly<Record<string, string>>,
): Pick<BuiltResult, 'digest' | 'bytes' | 'mediaType' | 'isIndex' | 'annotations'> {
  if (settings.annotations.some(({ place }) => place === 'index' || place === 'index-descriptor'))
    throw new SlipwayError(
      'invalid',
      'index annotations not supported for single platform export: give them to the manifest, or build several platforms',
    )
  const { manifestDigest: digest, manifest: bytes, manifestMediaType: mediaType } = image
  const annotations = { ...created, ...annotationsAt(settings, 'manifest-descriptor', platform) }
  return { digest, bytes, mediaType, isIndex: false, annotations }
}

function imageEntry({ image, platform }: PlatformImage, settings: ImageSettings): IndexEntry {
  return {
    mediaType: image.manifestMediaType,
    digest: image.manifestDigest,
    sizeBytes: image.manifest.length,
    platform,
    annotations: annotationsAt(settings, 'manifest-descriptor', platform),
  }
}

function attestationEntry({ mediaType, digest, bytes, annotations }: AttestationManifest): IndexEntry {
  const platform = { architecture: 'unknown', os: 'unknown' }
  return { mediaType, digest, sizeBytes: bytes.length, platform, annotations }
}

async function attest(
  graphs: readonly BuiltGraph[],
  images: BuiltResult['images'],
  { settings, names, tools }: WriteOptions & { tools: ImageTools },
  signal: AbortSignal,
): Promise<AttestationManifest[]> {
  if (!settings.provenance && !settings.sbom) return []
  const manifests: AttestationManifest[] = []
  for (const [index, graph] of graphs.entries()) {
    const image = images[index]
    if (!image) continue
    const predicates = await predicatesOf(graph, settings, tools, signal)
    const subjects = names.map((name) => imagePurl(parseImageReference(name), image.platform))
    manifests.push(composeAttestations(image, predicates, subjects.length > 0 ? subjects : [UNNAMED]))
  }
  return manifests
}

/** As other builders call an image that has no name yet. */
const UNNAMED = '_'

async function predicatesOf(
  graph: BuiltGraph,
  { sbom, provenance }: ImageSettings,
  tools: ImageTools,
  signal: AbortSignal,
): Promise<Predicate[]> {
  const predicates: Predicate[] = []
  if (sbom) {
    graph.memo.sboms ??= sbomsOf(graph, tools, signal)
    predicates.push(...(await graph.memo.sboms))
  }
  if (provenance) predicates.push(await provenanceOf(graph, provenance, signal))
  return predicates
}
