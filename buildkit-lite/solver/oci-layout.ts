import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import { Descriptor } from '#domain/digest'
import { messageOf, SlipwayError } from '#domain/errors'
import { ImageConfig } from '../image/config.ts'
import type { Platform, ResolvedImage } from '../plan/plan.ts'
import { formatPlatform, selectManifest } from '../registry/platform.ts'
import { layoutBlob, layoutSource, pairLayers } from './image-blobs.ts'
import { openLayoutFile } from './layout-files.ts'

const Index = z.looseObject({ manifests: z.array(Descriptor) })
const Manifest = z.looseObject({ config: Descriptor, layers: z.array(Descriptor).nullable() })
const REF_NAME = 'org.opencontainers.image.ref.name'

/** Finds an image of an OCI layout, a directory or a tar. https://github.com/opencontainers/image-spec/blob/main/image-layout.md */
export async function resolveLayoutImage(
  layout: { path: string; reference: string | null },
  platform: Platform,
): Promise<ResolvedImage> {
  const path = resolve(layout.path)
  const name = `oci-layout://${layout.path}${layout.reference ? `@${layout.reference}` : ''}`
  const missing = (what: string): never => {
    throw new SlipwayError('pull-not-found', `${name} has no ${what}`)
  }
  const top = Index.parse(JSON.parse(await read(path, 'index.json', name)))
  const named = layout.reference
    ? top.manifests.find((one) => one.digest === layout.reference || one.annotations?.[REF_NAME] === layout.reference)
    : choose(top.manifests, platform)
  let descriptor = named ?? missing(`image ${layout.reference ?? `for ${formatPlatform(platform)}`}`)
  let manifest: unknown = await readBlob(path, descriptor, name)
  const nested = Index.safeParse(manifest)
  if (nested.success) {
    descriptor = choose(nested.data.manifests, platform) ?? missing(`image for ${formatPlatform(platform)}`)
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

/** The one for this platform, else the first that does not say. */
function choose(manifests: readonly Descriptor[], platform: Platform): Descriptor | undefined {
  return selectManifest(manifests, platform) ?? manifests.find((one) => !one.platform)
}

async function readBlob(path: string, descriptor: Descriptor, name: string): Promise<unknown> {
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
