import { lutimesSync, readdirSync, rmSync } from 'node:fs'
import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { exportedStatements } from './attest/exported-statements.ts'
import type { BuiltResult, PlatformImage } from './built-result.ts'
import { copyRoot, type ExportTools, openImageRoot } from './export-image.ts'
import { TREES_THREAD } from './layers/create-layer.ts'
import type { TreesJob } from './layers/pack-trees.ts'
import { runInThread } from './layers/run-in-thread.ts'
import { type InnerPath, onDisk } from './solver/beneath.ts'
import { createPause } from './solver/copy-task.ts'
import { type FileTree, NO_EXCLUSION, treeOnDisk, walk } from './solver/file-tree.ts'

export interface ExportPlace {
  dest: string
  files: {
    /** Whether each platform has a directory of its own; null where there are several. */
    splitsPlatforms: boolean | null
    attestationPrefix: string
  }
}

/** One platform's part of an export: the directory it goes to, empty for the root itself. */
interface Part extends PlatformImage {
  directory: string
  /** Tells the files of several platforms in one directory apart. */
  suffix: string
}

/**
 * Writes the root file systems below a directory, owned by whoever runs this, and what is said of them as JSON beside
 * them. `delete` removes everything else from the directory.
 */
export async function exportResult(
  result: BuiltResult,
  { dest, mode, files }: ExportPlace & { mode: 'copy' | 'delete' },
  tools: ExportTools,
  signal: AbortSignal,
): Promise<void> {
  const timeS = timeOf(result)
  const parts = partsOf(result, files.splitsPlatforms)
  await mkdir(dest, { recursive: true })
  if (mode === 'delete' && parts.every(({ directory }) => directory !== ''))
    removeExcept(dest, new Set(parts.map(({ directory }) => directory)))
  for (const part of parts) {
    const directory = join(dest, part.directory)
    await using root = await openImageRoot(part.image, tools, signal)
    await mkdir(directory, { recursive: true })
    const tree = treeOnDisk(root.rootDir)
    const statements = await exportedStatements(result, part, { root: root.rootDir, ...files }, signal)
    if (mode === 'delete') removeOthers({ tree, directory, kept: new Set(statements.map(({ name }) => name)) }, '/')
    await copyRoot(root.rootDir, directory, signal)
    for (const { name, bytes } of statements) await writeFile(join(directory, name), bytes)
    if (timeS !== null) await setTimes(tree, { directory, names: statements.map(({ name }) => name), timeS }, signal)
  }
}

/** Writes the root file systems, with their owners, as one tar archive. */
export async function exportResultTar(
  result: BuiltResult,
  { dest, files }: ExportPlace,
  tools: ExportTools,
  signal: AbortSignal,
): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const work = stack.use(await mkdtempDisposable(join('/var/tmp', 'slipway-export-')))
  const job = { trees: [] as TreesJob['trees'][number][], files: [] as TreesJob['files'][number][] }
  for (const part of partsOf(result, files.splitsPlatforms)) {
    const root = stack.use(await openImageRoot(part.image, tools, signal))
    job.trees.push({ dir: latin1(root.rootDir), prefix: part.directory })
    for (const { name, bytes } of await exportedStatements(result, part, { root: root.rootDir, ...files }, signal)) {
      const path = join(part.directory, name)
      const contentPath = join(work.path, path.replaceAll('/', '_'))
      await writeFile(contentPath, bytes)
      job.files.push({ path, contentPath, sizeBytes: bytes.length })
    }
  }
  await mkdir(dirname(dest), { recursive: true })
  const all: TreesJob = { ...job, timeS: timeOf(result), path: latin1(dest) }
  await runInThread<string[]>(TREES_THREAD, all, {}, signal)
}

function partsOf({ images }: BuiltResult, splits: boolean | null): Part[] {
  const isSplit = splits ?? images.length > 1
  return images.map((one) => {
    const { os, architecture, variant } = one.platform
    const name = [os, architecture, ...(variant ? [variant] : [])].join('_')
    return { ...one, directory: isSplit ? name : '', suffix: !isSplit && images.length > 1 ? `.${name}` : '' }
  })
}

/** SOURCE_DATE_EPOCH is the time of everything that is exported. */
function timeOf({ graphs }: BuiltResult): number | null {
  return graphs.find(({ plan }) => plan.sourceDateEpoch !== null)?.plan.sourceDateEpoch ?? null
}

function removeExcept(directory: string, kept: ReadonlySet<string>): void {
  for (const name of readdirSync(directory))
    if (!kept.has(name)) rmSync(join(directory, name), { recursive: true, force: true })
}

/** Removes what the tree does not have, or has as something else. Links are never followed. */
function removeOthers(
  { tree, directory, kept }: { tree: FileTree; directory: string; kept: ReadonlySet<string> },
  path: InnerPath,
): void {
  const there = treeOnDisk(directory)
  for (const name of readdirSync(onDisk(directory, path), { encoding: 'latin1' })) {
    if (path === '/' && kept.has(name)) continue
    const inner = path === '/' ? `/${name}` : `${path}/${name}`
    const [wanted, found] = [tree.lookUp(inner), there.lookUp(inner)]
    if (wanted?.kind !== found?.kind) rmSync(onDisk(directory, inner), { recursive: true, force: true })
    else if (found?.kind === 'directory') removeOthers({ tree, directory, kept }, inner)
  }
}

async function setTimes(
  tree: FileTree,
  { directory, names, timeS }: { directory: string; names: readonly string[]; timeS: number },
  signal: AbortSignal,
): Promise<void> {
  const pause = createPause(signal)
  for (const { path } of walk(tree, '/', NO_EXCLUSION)) {
    await pause()
    lutimesSync(onDisk(directory, path), timeS, timeS)
  }
  for (const name of [...names, '.']) lutimesSync(join(directory, name), timeS, timeS)
}

function latin1(path: string): string {
  return Buffer.from(path).toString('latin1')
}
