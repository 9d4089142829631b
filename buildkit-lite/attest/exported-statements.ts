import { createHash } from 'node:crypto'
import { createReadStream, lstatSync, readFileSync } from 'node:fs'
import type { BuiltResult, PlatformImage } from '../built-result.ts'
import { onDisk } from '../solver/beneath.ts'
import { createPause } from '../solver/copy-task.ts'
import { NO_EXCLUSION, treeOnDisk, walk } from '../solver/file-tree.ts'
import { composeStatement, type Subject } from './statement.ts'

interface ExportedPart extends PlatformImage {
  /** Put before the extension of a file's name. */
  suffix: string
}

/** What is said of one platform, as files to lie beside its root file system: there it speaks of every file. */
export async function exportedStatements(
  { attestations }: BuiltResult,
  { image, suffix }: ExportedPart,
  { root, attestationPrefix }: { root: string; attestationPrefix: string },
  signal: AbortSignal,
): Promise<{ name: string; bytes: Buffer }[]> {
  const statements = attestations
    .filter(({ subject }) => subject === image.manifestDigest)
    .flatMap((one) => one.statements.filter(({ inlineOnly }) => !inlineOnly))
  if (statements.length === 0) return []
  const subjects = await hashFiles(root, signal)
  return statements.map((statement) => ({
    name: attestationPrefix + withSuffix(statement.fileName, suffix),
    bytes: composeStatement(statement, subjects),
  }))
}

function withSuffix(name: string, suffix: string): string {
  const dot = name.indexOf('.')
  return `${name.slice(0, dot)}${suffix}${name.slice(dot)}`
}

/** The regular files of a tree, one after the other. */
async function hashFiles(root: string, signal: AbortSignal): Promise<Subject[]> {
  const pause = createPause(signal)
  const subjects: Subject[] = []
  for (const { path, relative, entry } of walk(treeOnDisk(root), '/', NO_EXCLUSION)) {
    await pause()
    if (entry.kind !== 'file') continue
    const sha256 = await hashFile(onDisk(root, path), signal)
    subjects.push({ name: Buffer.from(relative, 'latin1').toString(), digest: { sha256 } })
  }
  return subjects
}

/** Most files are small: opening a stream takes longer than reading one. */
const SMALL_BYTES = 256 * 1024

async function hashFile(file: Buffer, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  if (lstatSync(file).size <= SMALL_BYTES) return hash.update(readFileSync(file)).digest('hex')
  for await (const chunk of createReadStream(file, { signal })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
