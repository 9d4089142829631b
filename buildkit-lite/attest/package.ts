import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { type InnerPath, onDisk, resolveBeneath, statBeneath } from '../solver/beneath.ts'

/** Software that an image holds, as one of its package databases says. */
export interface FoundPackage {
  name: string
  version: string
  purl: string
  /** An SPDX expression; null where the database has none. */
  license: string | null
  /** Where it was read, in the image. */
  path: string
}

/** What the packages of an operating system are named by; empty where the image does not say it. */
export interface Distribution {
  id: string
  version: string
}

const MAX_FILE_BYTES = 64 * 1024 * 1024

/** A regular file of the tree, links inside the tree followed; null where there is none, or one too large to be meant. */
export function readInner(root: string, path: InnerPath): string | null {
  const real = resolveBeneath(root, path)
  const stats = statBeneath(root, real)
  if (!stats?.isFile() || stats.size > MAX_FILE_BYTES) return null
  const fd = openSync(onDisk(root, real), 'r')
  try {
    const bytes = Buffer.alloc(fstatSync(fd).size)
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, bytes.length, 0))
  } finally {
    closeSync(fd)
  }
}

/** `Name: value` lines up to an empty one; what is continued on further lines is left out. */
export function* readStanzas(text: string, separator = ': '): Generator<ReadonlyMap<string, string>> {
  let fields = new Map<string, string>()
  for (const line of text.split('\n')) {
    if (line.trim() === '') {
      if (fields.size > 0) yield fields
      fields = new Map()
      continue
    }
    const at = line.indexOf(separator)
    if (at > 0 && !/^\s/.test(line) && !fields.has(line.slice(0, at)))
      fields.set(line.slice(0, at), line.slice(at + separator.length).trim())
  }
  if (fields.size > 0) yield fields
}

/** Words, `AND`, `OR`, `WITH`, parentheses. https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/ */
const EXPRESSION = /^\(*[A-Za-z0-9][A-Za-z0-9.+-]*\)*(?: (?:AND|OR|WITH) \(*[A-Za-z0-9][A-Za-z0-9.+-]*\)*)*$/

export function licenseOf(text: unknown): string | null {
  return typeof text === 'string' && EXPRESSION.test(text) && text !== 'UNLICENSED' && text !== 'UNKNOWN' ? text : null
}
