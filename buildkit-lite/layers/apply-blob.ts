import { createHash } from 'node:crypto'
import { SlipwayError } from '#domain/errors'
import { openSys } from '#host/sys'
import { type Compression, openDecompressor, sendThrough } from './compression.ts'
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
}

const SMALL_BYTES = 256 * 1024

/** Unpacks while it checks: a wrong digest is found after the last byte, when the directory is to be thrown away. */
export async function applyBlob(job: ApplyJob, source: AsyncIterable<Buffer>): Promise<{ uncompressedBytes: number }> {
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
  const checked = checkBlob(source, job)
  if (job.compression === 'none') for await (const chunk of checked) sink(chunk)
  else await sendThrough(checked, await openDecompressor(job.compression, job.sizeBytes <= SMALL_BYTES), sink)
  reader.end()
  extractor.finish()
  const diffId = `sha256:${diff.digest('hex')}`
  if (diffId !== job.diffId) {
    throw new SlipwayError('invalid', `Layer ${job.digest} has the diffID ${diffId}, expected ${job.diffId}`)
  }
  return { uncompressedBytes }
}

/** Passes the blob on, and fails where its size or digest is not what was promised. */
async function* checkBlob(source: AsyncIterable<Buffer>, job: ApplyJob): AsyncGenerator<Buffer> {
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
