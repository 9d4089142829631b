import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { Descriptor } from '#domain/digest'
import { SlipwayError } from '#domain/errors'
import { ImageConfig } from '../image/config.ts'
import type { Platform, ResolvedImage } from '../plan/plan.ts'
import { layoutBlob, layoutSource, pairLayers } from './image-blobs.ts'

const Index = z.looseObject({ manifests: z.array(Descriptor) })
const Manifest = z.looseObject({ config: Descriptor, layers: z.array(Descriptor).nullable() })
const REF_NAME = 'org.opencontainers.image.ref.name'

/** Finds an image of an OCI layout directory. https://github.com/opencontainers/image-spec/blob/main/image-layout.md */
export async function resolveLayoutImage(
  layout: { path: string; reference: string | null },
  platform: Platform,
): Promise<ResolvedImage> {
  const dir = resolve(layout.path)
  const name = `oci-layout://${layout.path}${layout.reference ? `@${layout.reference}` : ''}`
  const missing = (what: string): never => {
    throw new SlipwayError('pull-not-found', `${name} has no ${what}`)
  }
  const top = Index.parse(JSON.parse(await read(join(dir, 'index.json'), name)))
  const named = layout.reference
    ? top.manifests.find((one) => one.digest === layout.reference || one.annotations?.[REF_NAME] === layout.reference)
    : choose(top.manifests, platform)
  let descriptor = named ?? missing(layout.reference ? `image ${layout.reference}` : 'image for this platform')
  let manifest: unknown = await readBlob(dir, descriptor, name)
  const nested = Index.safeParse(manifest)
  if (nested.success) {
    descriptor = choose(nested.data.manifests, platform) ?? missing(`image for ${platform.os}/${platform.architecture}`)
    manifest = await readBlob(dir, descriptor, name)
  }
  const { config: configDescriptor, layers } = Manifest.parse(manifest)
  const config = ImageConfig.parse(await readBlob(dir, configDescriptor, name))
  return {
    reference: name,
    manifestDigest: descriptor.digest,
    config,
    layers: pairLayers(name, layers ?? [], config.rootfs.diff_ids ?? []),
    source: layoutSource(dir),
  }
}

/** The first that is for this platform, else the first that does not say. */
function choose(manifests: readonly Descriptor[], platform: Platform): Descriptor | undefined {
  const fits = ({ platform: has }: Descriptor): boolean =>
    has?.os === platform.os &&
    has.architecture === platform.architecture &&
    (platform.variant === undefined || has.variant === undefined || has.variant === platform.variant)
  return manifests.find(fits) ?? manifests.find((one) => !one.platform)
}

async function readBlob(dir: string, descriptor: Descriptor, name: string): Promise<unknown> {
  const text = await read(layoutBlob(dir, descriptor), name)
  const digest = `sha256:${createHash('sha256').update(text, 'utf8').digest('hex')}`
  if (digest !== descriptor.digest)
    throw new SlipwayError('pull-not-found', `A blob of ${name} has digest ${digest}, expected ${descriptor.digest}`)
  return JSON.parse(text)
}

async function read(path: string, name: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new SlipwayError('pull-not-found', `${name} cannot be read: ${String(error)}`, { cause: error })
  }
}
