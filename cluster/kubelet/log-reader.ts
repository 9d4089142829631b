import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { SlipwayError } from '#domain/errors'
import type { LogRequest, PodLogs } from '../contract.ts'
import type { Pod } from '../kinds.ts'
import type { ContainerStatus } from '../pod-kinds.ts'
import { logPath, type OpenLogs, rotatedPath } from './log-files.ts'

const NEWLINE = 0x0a
const BLOCK_BYTES = 64 * 1024

/** Reads what `writeLog` wrote. */
export function readLogs(podsDir: string, openLogs: OpenLogs): PodLogs {
  return {
    async *read(pod, request, signal) {
      const path = logPath(podsDir, pod.metadata.uid ?? '', request.container, whichRestart(pod, request))
      let leftBytes = request.limitBytes ?? Number.POSITIVE_INFINITY
      const sinceText = sinceOf(request)
      for await (const line of entriesOf(path, request, openLogs, signal)) {
        const shown = showEntry(line, request.timestamps, sinceText)
        if (!shown) continue
        yield shown.subarray(0, leftBytes)
        leftBytes -= shown.length
        if (leftBytes <= 0) return
      }
    },
  }
}

/** The log is named by the restart that wrote it. Fails with kind `not-found` where that one never ran. */
function whichRestart(pod: Pod, { container, previous }: LogRequest): number {
  const { containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {}
  const status = [...containerStatuses, ...initContainerStatuses].find((candidate) => candidate.name === container)
  const where = `container "${container}" in pod "${pod.metadata.name}"`
  if (!status) throw new SlipwayError('not-found', `${where} is not available`)
  const isWaiting = !status.state?.running && !status.state?.terminated
  if (previous) {
    if (!status.lastState?.terminated) throw new SlipwayError('not-found', `previous terminated ${where} not found`)
    return isWaiting ? status.restartCount : status.restartCount - 1
  }
  if (isWaiting && !status.lastState?.terminated)
    throw new SlipwayError('not-found', `${where} is waiting to start: ${waitingReason(status)}`)
  return status.restartCount
}

function waitingReason(status: ContainerStatus): string {
  return status.state?.waiting?.reason ?? 'ContainerCreating'
}

/** RFC 3339 text that sorts as our entries' times do. */
function sinceOf({ sinceSeconds, sinceTime }: LogRequest): string {
  const times = [
    ...(sinceSeconds === null ? [] : [Date.now() - sinceSeconds * 1000]),
    ...(sinceTime === null ? [] : [Date.parse(sinceTime)]),
  ].filter(Number.isFinite)
  return times.length > 0 ? new Date(Math.max(...times)).toISOString().replace('Z', '000000Z') : ''
}

/** An entry as the user sees it; null where it is too old. */
function showEntry(line: Buffer, timestamps: boolean, sinceText: string): Buffer | null {
  const afterTime = line.indexOf(0x20)
  const time = line.toString('latin1', 0, afterTime)
  if (sinceText && time < sinceText) return null
  const afterStream = line.indexOf(0x20, afterTime + 1)
  const isWhole = line[afterStream + 1] === 0x46
  const text = line.subarray(afterStream + 3, isWhole ? line.length : line.length - 1)
  return timestamps ? Buffer.concat([Buffer.from(`${time} `), text]) : text
}

async function* entriesOf(
  path: string,
  request: LogRequest,
  openLogs: OpenLogs,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const log = openLogs.get(path)
  let generation = log?.generation ?? 0
  let file = await openLog(path)
  try {
    let position = 0
    if (request.tailLines === null) yield* linesOf(await readRotated(path))
    else {
      const tail = await tailPosition(file, request.tailLines)
      position = tail.position
      if (tail.missing > 0) yield* lastOf(await readRotated(path), tail.missing)
    }
    let rest: Buffer = Buffer.alloc(0)
    for (;;) {
      // Ask for the next change before reading, so that none is missed in between.
      const changed = log?.changed.promise
      const isLast = !request.follow || !log || log.ended || signal.aborted
      const newer = log ? log.generation : generation
      for await (const chunk of blocksFrom(file, position)) {
        position += chunk.length
        const bytes: Buffer = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
        const end = bytes.lastIndexOf(NEWLINE) + 1
        yield* linesOf(bytes.subarray(0, end))
        rest = Buffer.from(bytes.subarray(end))
      }
      if (newer !== generation) {
        await file.close()
        file = await openLog(path)
        generation = newer
        position = 0
        continue
      }
      if (isLast) return
      await Promise.race([changed, abortOf(signal)])
    }
  } finally {
    await file.close()
  }
}

async function abortOf(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (signal.aborted) resolve()
  signal.addEventListener('abort', () => resolve(), { once: true })
  await promise
}

async function openLog(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r')
  } catch (error) {
    throw new SlipwayError('not-found', 'the log is no longer there', { cause: error })
  }
}

async function* blocksFrom(file: FileHandle, start: number): AsyncGenerator<Buffer> {
  let position = start
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(BLOCK_BYTES), 0, BLOCK_BYTES, position)
    if (bytesRead === 0) return
    position += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

/** Whole lines, each with its newline. */
function* linesOf(bytes: Buffer): Generator<Buffer> {
  let start = 0
  for (let end = bytes.indexOf(NEWLINE) + 1; end > 0; end = bytes.indexOf(NEWLINE, start) + 1) {
    yield bytes.subarray(start, end)
    start = end
  }
}

function lastOf(bytes: Buffer, lines: number): Buffer[] {
  return [...linesOf(bytes)].slice(-lines)
}

/** At most 10 MiB, by rotation. Empty where the log never was rotated. */
async function readRotated(path: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of createReadStream(rotatedPath(path))) chunks.push(chunk)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  return Buffer.concat(chunks)
}

/** Where the last `lines` lines begin, and how many of them the file does not have. */
async function tailPosition(file: FileHandle, lines: number): Promise<{ position: number; missing: number }> {
  const { size } = await file.stat()
  // The newline at the very end belongs to the last line; without one, an entry is being written.
  let seen = lines <= 0 ? lines - 1 : 0
  for (let end = size; end > 0; end -= BLOCK_BYTES) {
    const start = Math.max(0, end - BLOCK_BYTES)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(end - start), 0, end - start, start)
    for (let at = bytesRead - 1; at >= 0; at--) {
      if (buffer[at] !== NEWLINE || (lines > 0 && start + at === size - 1)) continue
      if (++seen === lines) return { position: start + at + 1, missing: 0 }
    }
  }
  return { position: 0, missing: size > 0 ? lines - seen - 1 : lines }
}
