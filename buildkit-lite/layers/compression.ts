import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { type Readable, Writable } from 'node:stream'
import {
  constants,
  createGunzip,
  createGzip,
  createZstdCompress,
  createZstdDecompress,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib'
import { SlipwayError } from '#domain/errors'
import { exited, spawn } from '#host/exec'

export type Compression = 'gzip' | 'zstd' | 'none'

const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar'

/** https://github.com/opencontainers/image-spec/blob/main/layer.md */
export const LAYER_MEDIA_TYPES: Record<Compression, string> = {
  gzip: `${OCI_LAYER}+gzip`,
  zstd: `${OCI_LAYER}+zstd`,
  none: OCI_LAYER,
}

const OTHER_MEDIA_TYPES: Readonly<Record<string, Compression>> = {
  'application/vnd.docker.image.rootfs.diff.tar.gzip': 'gzip',
  'application/vnd.docker.image.rootfs.diff.tar.zstd': 'zstd',
  'application/vnd.docker.image.rootfs.diff.tar': 'none',
  'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip': 'gzip',
  'application/vnd.oci.image.layer.nondistributable.v1.tar': 'none',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip': 'gzip',
  'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd': 'zstd',
}

/** How a layer of this media type is compressed; fails with kind `unsupported` for what is no layer. */
export function compressionOf(mediaType: string): Compression {
  const own = (['gzip', 'zstd', 'none'] as const).find((name) => LAYER_MEDIA_TYPES[name] === mediaType)
  const compression = own ?? OTHER_MEDIA_TYPES[mediaType]
  if (compression) return compression
  throw new SlipwayError(
    'unsupported',
    `A layer has the media type ${mediaType}, expected a tar layer of OCI or Docker`,
  )
}

/** Bytes go in, other bytes come out. */
export interface Filter {
  input: Writable
  output: Readable
  /** Rejects where the filter failed; nothing comes out after it. */
  done: Promise<void>
  destroy(): void
}

/**
 * igzip is three to ten times as fast as zlib; images built without it differ in compressed digests only. It has not
 * the levels that zlib has: who asks for one gets zlib.
 */
export async function openCompressor(
  compression: Exclude<Compression, 'none'>,
  level: number | null = null,
): Promise<Filter> {
  if (compression === 'zstd') return streamFilter(createZstdCompress(zstdOptions(level)))
  if (level !== null) return streamFilter(createGzip({ level, chunkSize: CHUNK_BYTES }))
  return (
    (await openProgram('igzip', ['-1', '-n', '-c'])) ?? streamFilter(createGzip({ level: 1, chunkSize: CHUNK_BYTES }))
  )
}

/** For layers of which all bytes are at hand and few. */
export function compressSmall(compression: Compression, tar: Buffer, level: number | null = null): Buffer {
  if (compression === 'none') return tar
  return compression === 'gzip' ? gzipSync(tar, { level: level ?? 6 }) : zstdCompressSync(tar, zstdOptions(level))
}

/** Node's own 16 KiB cost more in calls than in work. */
const CHUNK_BYTES = 128 * 1024

function zstdOptions(level: number | null) {
  return { chunkSize: CHUNK_BYTES, params: { [constants.ZSTD_c_compressionLevel]: level ?? 3 } }
}

/** Starting igzip pays off beyond a few hundred kilobytes only. */
export async function openDecompressor(compression: Exclude<Compression, 'none'>, isSmall: boolean): Promise<Filter> {
  if (compression === 'zstd') return streamFilter(createZstdDecompress({ chunkSize: CHUNK_BYTES }))
  return (
    (isSmall ? null : await openProgram('igzip', ['-d', '-c'])) ??
    streamFilter(createGunzip({ chunkSize: CHUNK_BYTES }))
  )
}

/** The decompressed bytes of a file, which a program reads itself where there is one: fewer bytes pass through here. */
export async function openDecompressedFile(
  { path, fd }: { path: string; fd: number },
  compression: Compression,
  isSmall: boolean,
): Promise<AsyncIterable<Buffer>> {
  const program = compression === 'gzip' && !isSmall ? await openProgram('igzip', ['-d', '-c'], fd) : null
  if (program) return readThrough([], program)
  const bytes: AsyncIterable<Buffer> = createReadStream(path, { highWaterMark: 2 * CHUNK_BYTES })
  return compression === 'none' ? bytes : readThrough(bytes, await openDecompressor(compression, true))
}

/** Null where the program is not installed. Its input is ours to write, or a file. */
export async function openProgram(
  file: string,
  args: readonly string[],
  inputFd: number | 'pipe' = 'pipe',
): Promise<Filter | null> {
  const child = spawn(file, args, { stdio: [inputFd, 'pipe', 'pipe'] })
  const { stdout, stderr } = child
  const stdin = inputFd === 'pipe' ? child.stdin : noInput()
  try {
    await once(child, 'spawn')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
  if (!stdin || !stdout || !stderr) throw new SlipwayError('internal', `${file} was started without pipes`)
  let said = ''
  stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-1000)
  })
  const done = exited(child).then(({ code, signal }) => {
    if (code === 0) return
    throw new SlipwayError('invalid', `${file} ended with ${signal ?? `code ${code}`}: ${said.trim()}`)
  })
  return { input: stdin, output: stdout, done, destroy: () => child.kill('SIGKILL') }
}

/** In the place of a pipe that is not there. */
function noInput(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() })
}

function streamFilter(stream: Readable & Writable): Filter {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  stream.once('end', resolve).once('error', reject)
  stream.once('close', () => reject(new SlipwayError('invalid', 'The compressed data broke off')))
  return { input: stream, output: stream, done: promise, destroy: () => stream.destroy() }
}

/**
 * Sends all of `source` through the filter into `sink`. A chunk of the source is not touched after the next one is
 * asked for, so that its buffer may be used again.
 */
export async function sendThrough(
  source: AsyncIterable<Buffer> | Iterable<Buffer>,
  filter: Filter,
  sink: (chunk: Buffer) => void,
): Promise<void> {
  const parts = [filter.done, drain(filter.output, sink), feed(source, filter.input)]
  let failure: unknown
  for (const part of parts) {
    part.catch((error: unknown) => {
      failure ??= error
      filter.destroy()
    })
  }
  const results = await Promise.allSettled(parts)
  if (results.every((result) => result.status === 'fulfilled')) return
  // A broken pipe is a consequence; what the filter or the sink says is the cause.
  const causes = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
  throw isBrokenPipe(failure) ? (causes.find((cause) => !isBrokenPipe(cause)) ?? failure) : failure
}

/** The same, to be read from: the filter's output, checked at its end. */
export async function* readThrough(
  source: AsyncIterable<Buffer> | Iterable<Buffer>,
  filter: Filter,
): AsyncGenerator<Buffer> {
  const checks = [feed(source, filter.input), filter.done]
  let failure: unknown
  for (const check of checks) {
    check.catch((error: unknown) => {
      failure ??= error
      filter.destroy()
    })
  }
  try {
    yield* filter.output
    await Promise.all(checks)
  } catch (error) {
    throw failure ?? error
  } finally {
    filter.destroy()
  }
}

async function drain(output: Readable, sink: (chunk: Buffer) => void): Promise<void> {
  for await (const chunk of output) sink(chunk)
}

async function feed(source: AsyncIterable<Buffer> | Iterable<Buffer>, input: Writable): Promise<void> {
  const failed = new Promise<never>((_resolve, reject) =>
    input.once('error', reject).once('close', () => reject(BROKEN)),
  )
  failed.catch(() => {})
  for await (const chunk of source) await Promise.race([written(input, chunk), failed])
  input.end()
}

const BROKEN = Object.assign(new Error('the filter closed its input'), { code: 'EPIPE' })

function written(input: Writable, chunk: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    input.write(chunk, (error) => (error ? reject(error) : resolve()))
  })
}

function isBrokenPipe(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && (error.code === 'EPIPE' || error.code === 'ERR_STREAM_PREMATURE_CLOSE')
  )
}
