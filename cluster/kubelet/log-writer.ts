import { mkdir, open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Readable } from 'node:stream'
import { type OpenLog, type OpenLogs, rotatedPath, tellFollowers } from './log-files.ts'

const ROTATE_AT_BYTES = 10 * 1024 * 1024
/** A longer line becomes several entries. */
const MAX_ENTRY_BYTES = 16 * 1024
const NEWLINE = 0x0a

/** Writes what a container prints until both streams end. A slow disk slows the container, memory stays small. */
export interface LogWriter {
  /** When both streams have ended and the file is closed. */
  readonly done: Promise<void>
}

export async function writeLog(
  path: string,
  streams: { stdout: Readable; stderr: Readable },
  openLogs: OpenLogs,
): Promise<LogWriter> {
  await mkdir(dirname(path), { recursive: true, mode: 0o750 })
  const log: OpenLog = { generation: 0, ended: false, changed: Promise.withResolvers() }
  const file = await rotatingFile(path, log)
  openLogs.set(path, log)
  const copies = [copyEntries(streams.stdout, 'stdout', file), copyEntries(streams.stderr, 'stderr', file)]
  const finish = async () => {
    try {
      await Promise.allSettled(copies)
      await file.close()
    } finally {
      log.ended = true
      openLogs.delete(path)
      tellFollowers(log)
    }
  }
  return { done: finish() }
}

async function copyEntries(
  stream: Readable,
  name: 'stdout' | 'stderr',
  file: { append: (bytes: Buffer) => Promise<void> },
): Promise<void> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const { entries, remainder } = cutEntries(rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk)
    rest = Buffer.from(remainder)
    if (entries.length > 0) await file.append(encodeEntries(entries, name))
  }
  if (rest.length > 0) await file.append(encodeEntries([{ bytes: rest, isWhole: true }], name))
}

interface Entry {
  bytes: Buffer
  /** Whether a line ends here. */
  isWhole: boolean
}

/** Cuts bytes into lines, and lines that are too long into parts. */
function cutEntries(bytes: Buffer): { entries: Entry[]; remainder: Buffer } {
  const entries: Entry[] = []
  let start = 0
  while (start < bytes.length) {
    const newline = bytes.indexOf(NEWLINE, start)
    const end = newline < 0 ? bytes.length : newline
    if (end - start > MAX_ENTRY_BYTES) {
      entries.push({ bytes: bytes.subarray(start, start + MAX_ENTRY_BYTES), isWhole: false })
      start += MAX_ENTRY_BYTES
      continue
    }
    if (newline < 0) break
    entries.push({ bytes: bytes.subarray(start, newline), isWhole: true })
    start = newline + 1
  }
  return { entries, remainder: bytes.subarray(start) }
}

function encodeEntries(entries: readonly Entry[], stream: string): Buffer {
  // Kubernetes prints nanoseconds; we know milliseconds.
  const time = new Date().toISOString().replace('Z', '000000Z')
  const newline = Buffer.from('\n')
  return Buffer.concat(
    entries.flatMap(({ bytes, isWhole }) => [Buffer.from(`${time} ${stream} ${isWhole ? 'F' : 'P'} `), bytes, newline]),
  )
}

async function rotatingFile(path: string, log: OpenLog) {
  let file = await open(path, 'a', 0o640)
  let sizeBytes = (await file.stat()).size
  let previous = Promise.resolve()
  const write = async (bytes: Buffer) => {
    if (sizeBytes > 0 && sizeBytes + bytes.length > ROTATE_AT_BYTES) {
      await file.close()
      await rename(path, rotatedPath(path))
      file = await open(path, 'a', 0o640)
      sizeBytes = 0
      log.generation++
    }
    await file.appendFile(bytes)
    sizeBytes += bytes.length
    tellFollowers(log)
  }
  return {
    /** Entries of both streams, one after the other. */
    append: (bytes: Buffer): Promise<void> => {
      const done = previous.then(() => write(bytes))
      previous = done.catch(() => {})
      return done
    },
    close: () => file.close(),
  }
}
