import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, fstatSync, statSync } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Digest } from '#domain/digest'
import { digestHex } from '#domain/digest'
import { SlipwayError } from '#domain/errors'
import { openUseMarks } from '#host/disk-use'
import { syncDirectory } from '#host/files'
import { openSys, type Sys } from '#host/sys'
import type { BlobStore, StagedBlob } from './blob-store.ts'

/**
 * Opens the store below `dir` and removes what dead writers left in `staged/`. Several processes may use one directory:
 * a blob appears by rename, so whoever sees it sees all of it. A staged file is locked by its writer while it lives.
 */
export async function openBlobStore(dir: string): Promise<BlobStore> {
  const blobsDir = join(dir, 'sha256')
  const stagedDir = join(dir, 'staged')
  await mkdir(blobsDir, { recursive: true })
  await mkdir(stagedDir, { recursive: true })
  const sys = openSys()
  await removeAbandoned(sys, stagedDir)

  const marks = await openUseMarks(sys, blobsLock(dir))
  const has = async (digest: Digest) => {
    const path = join(blobsDir, digestHex(digest))
    return (await marks.use(path)) ? await sizeOf(path) : null
  }
  const pathOf = async (digest: Digest): Promise<string> => {
    if (!(await has(digest))) throw new SlipwayError('not-found', `There is no blob ${digest} in ${dir}`)
    return join(blobsDir, digestHex(digest))
  }
  const stage = async (): Promise<StagedBlob> => {
    for (;;) {
      const path = join(stagedDir, randomBytes(8).toString('hex'))
      const file = await open(path, 'wx', 0o644)
      // Whoever opens the store may come between the two.
      if (isOurs(sys, path, file)) return stagedBlob(path, file, blobsDir)
      await file.close()
    }
  }
  return {
    has,
    pathOf,
    stage,
    read: async (digest, signal): Promise<Readable> =>
      createReadStream(await pathOf(digest), { signal, highWaterMark: 256 * 1024 }),
    write: async (source, expected, signal) => {
      await using staged = await stage()
      const written = await writeVerified(source, staged.path, { ...expected, signal })
      await staged.commit(expected.digest, written)
    },
  }
}

/** Shared to mark the use of a blob, exclusive to remove one. */
export function blobsLock(dir: string): string {
  return join(dir, 'lock')
}

/** `lock` is the open file, by whose lock others see that it has a writer. */
function stagedBlob(path: string, lock: FileHandle, blobsDir: string): StagedBlob {
  let isClosed = false
  return {
    path,
    async commit(digest, sizeBytes) {
      if (isClosed) throw new SlipwayError('conflict', `The staged blob ${path} is already closed`)
      isClosed = true
      await using _ = lock
      try {
        const { size } = await lock.stat()
        if (size !== sizeBytes)
          throw new SlipwayError('invalid', `Blob ${digest} has ${size} bytes, expected ${sizeBytes}`)
        await lock.sync()
        await rename(path, join(blobsDir, digestHex(digest)))
      } catch (error) {
        await rm(path, { force: true })
        throw error
      }
      await syncDirectory(blobsDir)
    },
    async [Symbol.asyncDispose]() {
      if (isClosed) return
      isClosed = true
      await rm(path, { force: true })
      await lock.close()
    },
  }
}

async function writeVerified(
  source: AsyncIterable<Uint8Array>,
  path: string,
  expected: { digest: Digest; sizeBytes?: number; signal: AbortSignal },
): Promise<number> {
  const hash = createHash('sha256')
  let written = 0
  await using file = await open(path, 'w')
  for await (const chunk of source) {
    expected.signal.throwIfAborted()
    if (written + chunk.byteLength > (expected.sizeBytes ?? Number.POSITIVE_INFINITY)) {
      throw new SlipwayError(
        'invalid',
        `Blob ${expected.digest} has more than the expected ${expected.sizeBytes} bytes`,
      )
    }
    hash.update(chunk)
    await file.writeFile(chunk)
    written += chunk.byteLength
  }
  if (expected.sizeBytes !== undefined && written !== expected.sizeBytes) {
    throw new SlipwayError('invalid', `Blob ${expected.digest} has ${written} bytes, expected ${expected.sizeBytes}`)
  }
  const digest = `sha256:${hash.digest('hex')}`
  if (digest !== expected.digest)
    throw new SlipwayError('invalid', `Blob has digest ${digest}, expected ${expected.digest}`)
  return written
}

async function sizeOf(path: string): Promise<{ sizeBytes: number } | null> {
  try {
    return { sizeBytes: (await stat(path)).size }
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

async function removeAbandoned(sys: Sys, stagedDir: string): Promise<void> {
  for (const name of await readdir(stagedDir)) {
    const path = join(stagedDir, name)
    const file = await open(path, 'r+').catch(() => null)
    if (file === null) continue
    await using _ = file
    if (isOurs(sys, path, file)) await rm(path, { force: true })
  }
}

/** Locks the file; false where another has it, or the path leads to another file by now. */
function isOurs(sys: Sys, path: string, { fd }: FileHandle): boolean {
  return sys.tryLock(fd, 'exclusive') && statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
