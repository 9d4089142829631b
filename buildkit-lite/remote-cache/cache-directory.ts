import { createWriteStream } from 'node:fs'
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { writeFileAtomic } from '#host/files'
import { Index } from '../registry/manifest.ts'
import { layoutBlob } from '../solver/image-blobs.ts'
import type { CacheTarget } from './contract.ts'
import type { CacheWriter } from './export-cache.ts'

/** https://github.com/opencontainers/image-spec/blob/main/annotations.md */
export const REF_NAME = 'org.opencontainers.image.ref.name'

/**
 * Writes caches as an OCI layout, which may have others under other tags. What a file is called says what is in it, and
 * it appears whole. https://github.com/opencontainers/image-spec/blob/main/image-layout.md
 */
export async function openCacheDirectory({
  directory,
  tag,
}: Extract<CacheTarget, { kind: 'local' }>): Promise<CacheWriter> {
  await mkdir(join(directory, 'blobs/sha256'), { recursive: true })
  const blob: CacheWriter['blob'] = async ({ digest, sizeBytes, open }, signal) => {
    const path = join(directory, layoutBlob({ digest }))
    if ((await stat(path).catch(() => null))?.size === sizeBytes) return
    const partial = `${path}.partial-${process.pid}`
    try {
      await pipeline(await open(), createWriteStream(partial), { signal })
      await rename(partial, path)
    } finally {
      await rm(partial, { force: true })
    }
  }
  return {
    blob,
    manifest: async ({ digest, bytes, mediaType }) => {
      await writeFileAtomic(join(directory, layoutBlob({ digest })), bytes)
      await writeFileAtomic(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
      const path = join(directory, 'index.json')
      const others = (await manifestsOf(path)).filter(({ annotations }) => annotations?.[REF_NAME] !== tag)
      const own = { mediaType, digest, size: bytes.length, annotations: { [REF_NAME]: tag } }
      await writeFileAtomic(path, JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [...others, own] }))
    },
  }
}

const INDEX = 'application/vnd.oci.image.index.v1+json'

async function manifestsOf(path: string): Promise<Index['manifests']> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  return text === null ? [] : Index.parse(JSON.parse(text)).manifests
}
