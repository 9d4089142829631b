import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, readlink, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { Digest } from '#domain/digest'
import { digestHex } from '#domain/digest'
import { SlipwayError } from '#domain/errors'
import { syncDirectory } from '#host/files'
import type { BlobStore, StagedBlob } from './blob-store.ts'

/** A staged file that nobody wrote to for so long has lost its writer, whichever machine or container it was in. */
const ABANDONED_AFTER_MS = 60 * 60 * 1000

/**
 * Opens the store below `dir` and removes what dead writers left in `staged/`. Several processes may use one directory:
 * a blob appears by rename, so whoever sees it sees all of it.
 */
export async function openBlobStore(dir: string): Promise<BlobStore> {
  const blobsDir = join(dir, 'sha256')
  const stagedDir = join(dir, 'staged')
  await mkdir(blobsDir, { recursive: true })
  await mkdir(stagedDir, { recursive: true })
  const pidNamespace = await readPidNamespace()
  await removeAbandoned(stagedDir, pidNamespace)

  const has = (digest: Digest) => sizeOf(join(blobsDir, digestHex(digest)))
  const pathOf = async (digest: Digest): Promise<string> => {
    if (!(await has(digest))) throw new SlipwayError('not-found', `There is no blob ${digest} in ${dir}`)
    return join(blobsDir, digestHex(digest))
  }
  const stage = async (): Promise<StagedBlob> => {
    const path = join(stagedDir, `${pidNamespace}.${process.pid}.${randomBytes(8).toString('hex')}`)
    await using file = await open(path, 'wx', 0o644)
    await file.stat()
    return stagedBlob(path, blobsDir)
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

function stagedBlob(path: string, blobsDir: string): StagedBlob {
  let isClosed = false
  return {
    path,
    async commit(digest, sizeBytes) {
      if (isClosed) throw new SlipwayError('conflict', `The staged blob ${path} is already closed`)
      isClosed = true
      try {
        await using file = await open(path, 'r+')
        const { size } = await file.stat()
        if (size !== sizeBytes)
          throw new SlipwayError('invalid', `Blob ${digest} has ${size} bytes, expected ${sizeBytes}`)
        await file.sync()
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

async function removeAbandoned(stagedDir: string, pidNamespace: string): Promise<void> {
  for (const name of await readdir(stagedDir)) {
    const path = join(stagedDir, name)
    const [namespace, pid] = name.split('.')
    // A process id says something only in its own pid namespace; elsewhere only silence does.
    const isDead = namespace === pidNamespace && !isRunning(Number(pid))
    if (isDead || (await isAbandoned(path))) await rm(path, { force: true })
  }
}

async function isAbandoned(path: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(path)).mtimeMs > ABANDONED_AFTER_MS
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
}

/** `4026531836`, or 0 where /proc does not say. */
async function readPidNamespace(): Promise<string> {
  try {
    return (await readlink('/proc/self/ns/pid')).replace(/\D/g, '')
  } catch {
    return '0'
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
