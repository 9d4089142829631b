import { hash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, stat, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { writeFileAtomic } from '#host/files'
import type { ContextEntry } from './contract.ts'

/** What was read of a file the last time. */
interface KnownFile {
  contentId: string
  /** Digest of its extended attributes; a change of them changes the version, too. */
  attributes: string | null
}

/** What the files of a directory were when they were last hashed, so that only changed ones are read again. */
export interface ContentIndex {
  /** Null where the file is new, changed, or changed too lately to be sure. */
  find(path: string, version: string): KnownFile | null
  /** Keeps what is true of these files, where that is something new. Failing to is no harm. */
  save(entries: readonly ContextEntry[], hashedAtMs: number): Promise<void>
}

interface Known extends KnownFile {
  version: string
}

const MAGIC = 'slipway-content-index 1'
const FIELDS = 4
/** A larger context is hashed each time. */
const MAX_FILES = 500_000
const MAX_BYTES = 128 * 1024 * 1024
const MAX_INDEXES = 64

/**
 * Opens the index of what `name` stands for, below `directory`. A file that is damaged, cut off or of another format
 * counts as none: the digest of its content stands in its first line.
 */
export async function openContentIndex(directory: string, name: string): Promise<ContentIndex> {
  const path = join(directory, `${hash('sha256', name, 'hex').slice(0, 40)}.index`)
  const known = await readIndex(path)
  return {
    find: (file, version) => {
      const found = known.get(file)
      return found?.version === version ? found : null
    },
    save: async (entries, hashedAtMs) => {
      const isKnown = ({ path: file, version }: ContextEntry) =>
        version !== undefined && known.get(file)?.version === version
      const kept = entries.filter((entry) => isKnown(entry) || isSettled(entry, hashedAtMs))
      const isSame = kept.length === known.size && kept.every(isKnown)
      try {
        if (isSame) await utimes(path, new Date(), new Date())
        else if (kept.length > MAX_FILES) await rm(path, { force: true })
        else await replaceIndex(path, kept)
      } catch {
        // Another build may have taken it away; a full disk is for those to tell who need it.
      }
    },
  }
}

/**
 * Whether every later change shows in the file's times. What changed in the same tick of the clock in which it was read
 * may change once more in it, and look the same.
 */
function isSettled({ kind, version, contentId }: ContextEntry, hashedAtMs: number): boolean {
  if (kind !== 'file' || version === undefined || contentId === null) return false
  const [, , modifiedMs = 0, changedMs = 0] = version.split(' ').map(Number)
  return Math.max(modifiedMs, changedMs) < hashedAtMs - tickMs(changedMs)
}

/** File systems that know whole seconds only may know even seconds only; the others tick with the kernel. */
function tickMs(changedMs: number): number {
  return changedMs % 1000 === 0 ? 2500 : 100
}

async function replaceIndex(path: string, entries: readonly ContextEntry[]): Promise<void> {
  const directory = dirname(path)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await writeFileAtomic(path, encode(entries), 0o600)
  await dropOldest(directory)
}

function encode(entries: readonly ContextEntry[]): Buffer {
  const lines = entries.map(
    ({ path, version, contentId, attributes }) => `${path}\0${version}\0${contentId}\0${attributes ?? ''}`,
  )
  const body = Buffer.from(lines.join('\0'), 'latin1')
  return Buffer.concat([Buffer.from(`${MAGIC} ${hash('sha256', body, 'hex')}\n`), body])
}

async function readIndex(path: string): Promise<Map<string, Known>> {
  const known = new Map<string, Known>()
  const bytes = await readIfSmall(path)
  const end = bytes?.indexOf('\n') ?? -1
  if (bytes === null || end < 0) return known
  const body = bytes.subarray(end + 1)
  if (bytes.toString('latin1', 0, end) !== `${MAGIC} ${hash('sha256', body, 'hex')}`) return known
  if (body.length === 0) return known
  const fields = body.toString('latin1').split('\0')
  for (let at = 0; at + FIELDS <= fields.length; at += FIELDS) {
    const [file = '', version = '', contentId = '', attributes = ''] = fields.slice(at, at + FIELDS)
    known.set(file, { version, contentId, attributes: attributes || null })
  }
  return known
}

async function readIfSmall(path: string): Promise<Buffer | null> {
  try {
    return (await stat(path)).size > MAX_BYTES ? null : await readFile(path)
  } catch {
    return null
  }
}

/** Those of directories that were not built for the longest time go. */
async function dropOldest(directory: string): Promise<void> {
  const names = await readdir(directory)
  if (names.length <= MAX_INDEXES) return
  const found = await Promise.all(
    names.map(async (name) => ({
      name,
      usedAtMs: (await stat(join(directory, name)).catch(() => null))?.mtimeMs ?? 0,
    })),
  )
  const spare = found.sort((a, b) => b.usedAtMs - a.usedAtMs).slice(MAX_INDEXES)
  for (const { name } of spare) await rm(join(directory, name), { force: true })
}
