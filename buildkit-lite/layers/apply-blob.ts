import { createHash } from 'node:crypto'
import { closeSync, fstatSync, openSync } from 'node:fs'
import { SlipwayError } from '#domain/errors'
import { openSys } from '#host/sys'
import { type Compression, openDecompressedFile, openDecompressor, sendThrough } from './compression.ts'
import { TarExtractor } from './extract-tar.ts'
import { TarReader } from './read-tar.ts'

/** Everything that unpacking a layer needs; it is sent to a thread. */
export interface ApplyJob {
  /** Latin1-exact, as the paths of the lower directories. */
  upperDir: string
  lowerDirs: readonly string[]
  compression: Compression
  digest: string
  sizeBytes: number
  diffId: string
  /** Of the uncompressed archive. */
  maxBytes: number
  maxEntries: number
  /** Where the blob is a file; it is then known to be what it is called, but for what its diffID tells. */
  path: string | null
}

const SMALL_BYTES = 256 * 1024

/** Unpacks while it checks: a wrong digest is found after the last byte, when the directory is to be thrown away. */
export async function applyBlob(
  job: ApplyJob,
  source: AsyncIterable<Buffer> | null,
): Promise<{ uncompressedBytes: number }> {
  const diff = createHash('sha256')
  using extractor = new TarExtractor(openSys(), job)
  const reader = new TarReader(extractor)
  let uncompressedBytes = 0
  const sink = (chunk: Buffer) => {
    uncompressedBytes += chunk.length
    if (uncompressedBytes > job.maxBytes) {
      throw new SlipwayError('too-large', `Layer ${job.digest} has more than ${job.maxBytes} bytes uncompressed`)
    }
    diff.update(chunk)
    reader.write(chunk)
  }
  if (job.path !== null) await sendFile(job.path, job, sink)
  else await sendChecked(source ?? [], job, sink)
  reader.end()
  extractor.finish()
  const diffId = `sha256:${diff.digest('hex')}`
  if (diffId !== job.diffId) {
    throw new SlipwayError('invalid', `Layer ${job.digest} has the diffID ${diffId}, expected ${job.diffId}`)
  }
  return { uncompressedBytes }
}

async function sendFile(path: string, job: ApplyJob, sink: (chunk: Buffer) => void): Promise<void> {
  const fd = openSync(path, 'r')
  try {
    const { size } = fstatSync(fd)
    if (size !== job.sizeBytes)
      throw new SlipwayError('invalid', `Layer ${job.digest} has ${size} bytes, expected ${job.sizeBytes}`)
    const isSmall = size <= SMALL_BYTES
    for await (const chunk of await openDecompressedFile({ path, fd }, job.compression, isSmall)) sink(chunk)
  } finally {
    closeSync(fd)
  }
}

async function sendChecked(
  source: AsyncIterable<Buffer> | Iterable<Buffer>,
  job: ApplyJob,
  sink: (chunk: Buffer) => void,
): Promise<void> {
  const checked = checkBlob(source, job)
  if (job.compression === 'none') for await (const chunk of checked) sink(chunk)
  else await sendThrough(checked, await openDecompressor(job.compression, job.sizeBytes <= SMALL_BYTES), sink)
}

/** Passes the blob on, and fails where its size or digest is not what was promised. */
async function* checkBlob(source: AsyncIterable<Buffer> | Iterable<Buffer>, job: ApplyJob): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  for await (const chunk of source) {
    sizeBytes += chunk.length
    if (sizeBytes > job.sizeBytes) {
      throw new SlipwayError('invalid', `Layer ${job.digest} has more than the expected ${job.sizeBytes} bytes`)
    }
    hash.update(chunk)
    yield chunk
  }
  const digest = `sha256:${hash.digest('hex')}`
  if (sizeBytes !== job.sizeBytes || digest !== job.digest) {
    const got = `${sizeBytes} bytes and digest ${digest}`
    throw new SlipwayError('invalid', `Layer ${job.digest} has ${got}, expected ${job.sizeBytes} bytes`)
  }
}
