import { readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { digestHex } from '#domain/digest'
import { type DiskObject, type DiskStore, namesIn } from '#host/disk-store'
import { StoredStep } from '../solver/file-step-cache.ts'

/** A record that is being written, or was when its process was killed, begins with a dot. */
const LEFT_AFTER_MS = 60 * 60_000

/**
 * The step cache of the command line, which is in files. A record whose blob is gone means nothing any more and goes
 * whenever it is seen; a build that finds none runs the step.
 */
export function openStepRecords(directory: string, blobsDir: string): DiskStore {
  const stepsDir = join(directory, 'steps')
  return {
    async *list() {
      for await (const id of namesIn(stepsDir)) {
        const path = join(stepsDir, id)
        const stats = await stat(path).catch(() => null)
        if (!stats) continue
        const inUse = !(await isUseless(path, id, stats.mtimeMs, blobsDir))
        const [sizeBytes, usedAtMs] = [stats.size, stats.mtimeMs]
        yield { kind: 'step-record', id, sizeBytes, usedAtMs, inUse, parents: [] } satisfies DiskObject
      }
    },
    async remove(ids) {
      for (const id of ids) await rm(join(stepsDir, id), { force: true })
      return new Set(ids)
    },
    async *verify(signal) {
      for await (const id of namesIn(stepsDir)) {
        signal.throwIfAborted()
        if (id.startsWith('.')) continue
        const text = await readFile(join(stepsDir, id), 'utf8').catch(() => null)
        if (text !== null && !parseRecord(text))
          yield { kind: 'step-record', id, sizeBytes: text.length, problem: 'it cannot be understood' }
      }
    },
  }
}

async function isUseless(path: string, id: string, writtenAtMs: number, blobsDir: string): Promise<boolean> {
  if (id.startsWith('.')) return writtenAtMs < Date.now() - LEFT_AFTER_MS
  const record = parseRecord(await readFile(path, 'utf8').catch(() => ''))
  if (!record) return true
  return (await stat(join(blobsDir, digestHex(record.layer.descriptor.digest))).catch(() => null)) === null
}

function parseRecord(text: string) {
  try {
    return StoredStep.safeParse(JSON.parse(text)).data ?? null
  } catch {
    return null
  }
}
