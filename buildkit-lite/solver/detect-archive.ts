import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { PassThrough, type Readable } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { spawn } from '#host/exec'

const MAGIC = [
  { format: 'gzip', bytes: [0x1f, 0x8b] },
  { format: 'bzip2', bytes: [0x42, 0x5a, 0x68] },
  { format: 'xz', bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] },
  { format: 'zstd', bytes: [0x28, 0xb5, 0x2f, 0xfd] },
  // A frame to be skipped, which pzstd writes first; the low half of its first byte is free.
  { format: 'zstd', bytes: [0x50, 0x2a, 0x4d, 0x18], mask: 0xf0 },
] as const satisfies readonly { format: string; bytes: readonly number[]; mask?: number }[]
type Compression = (typeof MAGIC)[number]['format'] | 'none'

const BLOCK_BYTES = 512
const CHECKSUM_AT = 148
const CHECKSUM_BYTES = 8

/**
 * The open file's tar stream, decompressed, if its content (not its name) is a tar archive; null for any other file. The
 * file has to stay open until the stream has ended.
 */
export async function openArchive(fd: number): Promise<Readable | null> {
  // Another process can open it, too, which a number alone would not allow.
  const path = Buffer.from(`/proc/${process.pid}/fd/${fd}`)
  const compression = await compressionOf(path)
  const probe = decompress(path, compression)
  await using _probe = endAtLast(probe)
  const head = await readHead(probe)
  return head && isTarHeader(head) ? decompress(path, compression) : null
}

async function compressionOf(path: Buffer): Promise<Compression> {
  await using file = await open(path, 'r')
  const { buffer } = await file.read(Buffer.alloc(8), 0, 8, 0)
  const first = buffer[0] ?? 0
  const found = MAGIC.find(({ bytes: [start, ...more], ...magic }) => {
    const mask = 'mask' in magic ? magic.mask : 0xff
    return (first & mask) === start && more.every((byte, at) => buffer[at + 1] === byte)
  })
  return found?.format ?? 'none'
}

/** A stream of the file's decompressed bytes. Destroying it ends the decompressor. */
function decompress(path: Buffer, compression: Compression): Readable {
  if (compression === 'none') return createReadStream(path)
  if (compression === 'gzip' || compression === 'zstd') {
    const source = createReadStream(path)
    const inflate = compression === 'gzip' ? createGunzip() : createZstdDecompress()
    source.on('error', (error) => inflate.destroy(error))
    inflate.on('close', () => source.destroy())
    return source.pipe(inflate)
  }
  return readOutput(compression, ['-dc', '--', path.toString('utf8')])
}

/** What a program writes. It ends well only where the program does: what breaks off looks like the end otherwise. */
function readOutput(program: string, args: readonly string[]): Readable {
  const child = spawn(program, args)
  if (!child.stdout) throw new Error(`${program} was started without an output`)
  const output = new PassThrough()
  child.stdout.on('error', (error) => output.destroy(error))
  child.stdout.pipe(output, { end: false })
  child.stderr?.resume()
  child.on('error', (error) => output.destroy(error))
  child.on('close', (code) => {
    if (code === 0) output.end()
    else output.destroy(new Error(`${program} cannot read its compressed data`))
  })
  output.on('close', () => child.kill())
  return output
}

/** The first block, or null where the stream is shorter or broken. */
async function readHead(stream: Readable): Promise<Buffer | null> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  try {
    for await (const chunk of stream) {
      chunks.push(chunk as Buffer)
      sizeBytes += (chunk as Buffer).length
      if (sizeBytes >= BLOCK_BYTES) return Buffer.concat(chunks).subarray(0, BLOCK_BYTES)
    }
  } catch {
    // What does not decompress is no archive; it is copied as the file that it is.
  }
  return null
}

/** https://man.freebsd.org/cgi/man.cgi?query=tar&sektion=5: the sum of the block with blanks for the checksum itself. */
function isTarHeader(block: Buffer): boolean {
  const field = block.toString('latin1', CHECKSUM_AT, CHECKSUM_AT + CHECKSUM_BYTES)
  const stored = Number.parseInt(field.replaceAll('\0', ' ').trim(), 8)
  let sum = 0
  for (let at = 0; at < BLOCK_BYTES; at++)
    sum += at >= CHECKSUM_AT && at < CHECKSUM_AT + CHECKSUM_BYTES ? 0x20 : (block[at] ?? 0)
  return stored === sum && block[0] !== 0
}

/** Disposing ends the stream and its decompressor, whether or not it was read; errors are then of no interest. */
export function endAtLast(stream: Readable): AsyncDisposable {
  return {
    [Symbol.asyncDispose]: async () => {
      stream.on('error', () => {})
      const { promise, resolve } = Promise.withResolvers<void>()
      stream.once('close', resolve)
      stream.destroy()
      if (!stream.closed) await promise
    },
  }
}
