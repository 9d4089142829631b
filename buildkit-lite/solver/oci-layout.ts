import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import { Descriptor, Digest } from '#domain/digest'
import { messageOf, SlipwayError } from '#domain/errors'
import { ImageConfig } from '../image/config.ts'
import type { Platform, ResolvedImage } from '../plan/plan.ts'
import { formatPlatform, selectManifest } from '../registry/platform.ts'
import { layoutBlob, layoutSource, pairLayers } from './image-blobs.ts'
import { openLayoutFile } from './layout-files.ts'

const Index = z.looseObject({ manifests: z.array(Descriptor) })
const Manifest = z.looseObject({ config: Descriptor, layers: z.array(Descriptor).nullable() })
const REF_NAME = 'org.opencontainers.image.ref.name'
/** Marks what is about an image and is none. */
const REFERENCE_TYPE = 'vnd.docker.reference.type'

/** Finds an image of an OCI layout, a directory or a tar. https://github.com/opencontainers/image-spec/blob/main/image-layout.md */
export async function resolveLayoutImage(
  layout: { path: string; reference: string | null },
  platform: Platform,
): Promise<ResolvedImage> {
  const path = resolve(layout.path)
  const name = `oci-layout://${layout.path}${layout.reference ? `@${layout.reference}` : ''}`
  const missing = (what: string, offered: readonly Descriptor[]): never => {
    throw new SlipwayError('pull-not-found', `${name} has no ${what}, only ${listOffers(offered)}`)
  }
  const top = Index.parse(JSON.parse(await read(path, 'index.json', name)))
  const named: Pick<Descriptor, 'digest'> | undefined = layout.reference
    ? (byDigest(layout.reference) ?? top.manifests.find((one) => one.annotations?.[REF_NAME] === layout.reference))
    : choose(top.manifests, platform)
  let descriptor: Pick<Descriptor, 'digest'> =
    named ?? missing(`image ${layout.reference ?? `for ${formatPlatform(platform)}`}`, top.manifests)
  let manifest: unknown = await readBlob(path, descriptor, name)
  const nested = Index.safeParse(manifest)
  if (nested.success) {
    const { manifests } = nested.data
    descriptor = selectManifest(manifests, platform) ?? missing(`image for ${formatPlatform(platform)}`, manifests)
    manifest = await readBlob(path, descriptor, name)
  }
  const { config: configDescriptor, layers } = Manifest.parse(manifest)
  const config = ImageConfig.parse(await readBlob(path, configDescriptor, name))
  return {
    reference: name,
    manifestDigest: descriptor.digest,
    config,
    layers: pairLayers(name, layers ?? [], config.rootfs.diff_ids ?? []),
    source: layoutSource(path),
  }
}

/** A digest finds whatever the layout has, also what no name leads to. */
function byDigest(reference: string): Pick<Descriptor, 'digest'> | undefined {
  const digest = Digest.safeParse(reference).data
  return digest && { digest }
}

/** The one for this platform, else the first that does not say, else the only one there is, whatever it is for. */
function choose(manifests: readonly Descriptor[], platform: Platform): Descriptor | undefined {
  const images = manifests.filter((one) => one.annotations?.[REFERENCE_TYPE] === undefined)
  const found = selectManifest(images, platform) ?? images.find((one) => !one.platform)
  return found ?? (images.length === 1 ? images[0] : undefined)
}

function listOffers(manifests: readonly Descriptor[]): string {
  const offers = manifests.flatMap(({ annotations, platform }) => {
    const name = annotations?.[REF_NAME]
    const own = platform && platform.architecture !== 'unknown' ? formatPlatform(platform) : ''
    return [name, own].filter(Boolean).join(' for ') || []
  })
  return offers.join(', ') || 'what has no name'
}

async function readBlob(path: string, descriptor: Pick<Descriptor, 'digest'>, name: string): Promise<unknown> {
  const content = await read(path, layoutBlob(descriptor), name)
  const digest = `sha256:${createHash('sha256').update(content, 'utf8').digest('hex')}`
  if (digest !== descriptor.digest)
    throw new SlipwayError('pull-not-found', `A blob of ${name} has digest ${digest}, expected ${descriptor.digest}`)
  return JSON.parse(content)
}

async function read(path: string, file: string, name: string): Promise<string> {
  try {
    return await text(await openLayoutFile(path, file))
  } catch (error) {
    throw new SlipwayError('pull-not-found', `${name} cannot be read: ${messageOf(error)}`, { cause: error })
  }
}
