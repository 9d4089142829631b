import { posix } from 'node:path'
import { SlipwayError } from '#domain/errors'
import { ExecError, type RunResult, run } from '#host/exec'
import type { ContextEntry } from './contract.ts'
import { compareBytes, toText } from './path-bytes.ts'

/** Nothing of the machine's own git settings, hooks or prompts takes part. */
const GIT_ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/nonexistent',
  LC_ALL: 'C',
  GIT_TERMINAL_PROMPT: '0',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_ATTR_NOSYSTEM: '1',
  GIT_OPTIONAL_LOCKS: '0',
}

export interface GitRun {
  gitDir: string
  args: readonly string[]
  env?: Readonly<Record<string, string>>
  input?: string | Uint8Array
  maxOutputBytes?: number
  signal: AbortSignal
}

const SAFE = ['-c', 'core.hooksPath=/dev/null', '-c', 'protocol.ext.allow=never', '-c', 'core.autocrlf=false']
const MAX_OUTPUT_BYTES = 512 * 1024 * 1024

/** Runs git on a bare repository, with arguments that are ours or already checked. */
export async function runGit({ gitDir, args, env, input, maxOutputBytes, signal }: GitRun): Promise<RunResult> {
  return await run('git', [`--git-dir=${gitDir}`, ...SAFE, ...args], {
    env: { ...GIT_ENVIRONMENT, ...env },
    ...(input === undefined ? {} : { input }),
    maxOutputBytes: maxOutputBytes ?? MAX_OUTPUT_BYTES,
    signal,
  })
}

/** Runs git in the directory it writes files to. The umask of whoever started us must not decide about their modes. */
export async function runGitIn(directory: string, { gitDir, args, env, input, signal }: GitRun): Promise<void> {
  const command = ['-c', 'umask 022; exec git "$@"', 'git', `--git-dir=${gitDir}`, ...SAFE, ...args]
  const given = input === undefined ? {} : { input }
  await run('sh', command, { cwd: directory, env: { ...GIT_ENVIRONMENT, ...env }, ...given, signal })
}

const OBJECT_ID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/

/** A directory of a commit, in git's own words for it. A symlink there is not followed. */
export interface TreePlace {
  gitDir: string
  commit: string
  subdirectory: string
}

/** What git calls the tree: safe as an argument, because it starts with a checked object id. */
export function nameTree({ commit, subdirectory }: TreePlace): string {
  if (!OBJECT_ID.test(commit)) throw new SlipwayError('context-invalid', `"${commit}" is not a commit id`)
  if (subdirectory.includes('\0')) throw new SlipwayError('context-invalid', 'A context path has a NUL byte')
  return `${commit}:${posix.resolve('/', subdirectory).slice(1)}`
}

/** Why a tree cannot be listed, in words. */
async function explain(place: TreePlace, cause: ExecError, signal: AbortSignal): Promise<SlipwayError> {
  const { gitDir, commit, subdirectory } = place
  const input = `${nameTree(place)}\0`
  // With -z the name may hold anything but NUL.
  const { stdout } = await runGit({ gitDir, args: ['cat-file', '--batch-check', '-z'], input, signal })
  const type = /^[0-9a-f]+ (\w+) \d+\n$/.exec(stdout.toString('latin1'))?.[1]
  const got = type ? `a ${type}` : 'nothing'
  const message = `Context "${subdirectory}" of commit ${commit} is not a directory: found ${got}`
  return new SlipwayError('context-invalid', message, { cause })
}

/** An entry with the id of its object. */
export interface TreeRecord {
  entry: ContextEntry
  id: string
}

/** More is refused: it would not fit in memory with all the rest. */
const MAX_TREE_BYTES = 256 * 1024 * 1024

/**
 * All of a tree, sorted by path, with blob ids as content ids and without sizes, which git would have to look up one by
 * one. Submodules are empty directories, as git leaves them.
 */
export async function listTree(place: TreePlace, signal: AbortSignal): Promise<TreeRecord[]> {
  const { gitDir } = place
  const stdout = await readTree(place, signal)
  const records = stdout.toString('latin1').split('\0').slice(0, -1).map(readRecord)
  const links = records.filter((record) => record.entry.kind === 'symlink')
  const targets = await readBlobs(gitDir, [...new Set(links.map((record) => record.id))], signal)
  for (const { entry, id } of links) entry.linkTarget = targets.get(id)?.toString('latin1') ?? ''
  records.sort((a, b) => compareBytes(a.entry.path, b.entry.path))
  checkPaths(records.map(({ entry }) => entry))
  return records
}

async function readTree(place: TreePlace, signal: AbortSignal): Promise<Buffer> {
  const args = ['ls-tree', '-r', '-t', '-z', '--full-tree', nameTree(place)]
  try {
    return (await runGit({ gitDir: place.gitDir, args, maxOutputBytes: MAX_TREE_BYTES, signal })).stdout
  } catch (error) {
    if (error instanceof ExecError) throw await explain(place, error, signal)
    if (!(error instanceof SlipwayError) || error.kind !== 'too-large') throw error
    const message = `Commit ${place.commit} has too many files: their list has more than ${MAX_TREE_BYTES} bytes`
    throw new SlipwayError('context-invalid', message, { cause: error })
  }
}

function readRecord(record: string): TreeRecord {
  const match = /^(\d{6}) \w+ ([0-9a-f]+)\t(.+)$/s.exec(record)
  if (!match) throw new SlipwayError('internal', `git ls-tree printed "${record}", expected mode, type, id, path`)
  const [, mode = '', id = '', path = ''] = match
  const file = { path, linkTarget: null, sizeBytes: 0 }
  switch (mode) {
    case '040000':
    case '160000':
      return { id, entry: { ...file, kind: 'directory', mode: 0o755, contentId: null } }
    case '120000':
      return { id, entry: { ...file, kind: 'symlink', mode: 0o777, contentId: null } }
    default:
      return { id, entry: { ...file, kind: 'file', mode: mode === '100755' ? 0o755 : 0o644, contentId: id } }
  }
}

/** Git's own directory, as file systems may see other names. */
const GIT_DIRECTORY = /^(?:\.git|git~1)$/i

/** Refuses trees that only somebody with bad intent makes, as a checkout does. They must be sorted. */
function checkPaths(entries: readonly ContextEntry[]): void {
  for (const [index, { path }] of entries.entries()) {
    const isTwice = entries[index - 1]?.path === path
    // Most paths have nothing that could be wrong.
    if (!isTwice && !/(?:^|\/)(?:\.|git|\/|$|\xe2|\xef)/i.test(path)) continue
    const isBad = path.split('/').some((name) => /^\.{0,2}$/.test(name) || GIT_DIRECTORY.test(asFileSystemsSee(name)))
    if (!isBad && !isTwice) continue
    const why = isTwice ? 'is there twice' : 'has a part that no file of a repository may be called'
    throw new SlipwayError('context-invalid', `The tree is refused: "${toText(path)}" ${why}`)
  }
}

/** NTFS drops trailing dots and spaces and names streams after a colon; HFS+ overlooks some characters. */
function asFileSystemsSee(name: string): string {
  return toText(name)
    .replaceAll(/[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g, '')
    .replace(/:.*$/s, '')
    .replace(/[. ]+$/, '')
}

/** When the commit was made, in Unix seconds; null where what the id names is no commit. */
export async function readCommitTime({ gitDir, commit }: TreePlace, signal: AbortSignal): Promise<number | null> {
  if (!OBJECT_ID.test(commit)) return null
  const { stdout } = await runGit({ gitDir, args: ['cat-file', '--batch'], input: `${commit}\n`, signal })
  const seconds = /^committer .* (\d+) [+-]\d{4}$/m.exec(stdout.toString('latin1'))?.[1]
  return seconds === undefined ? null : Number(seconds)
}

/** What is named, or null where it is not there. Names may hold anything but NUL. */
export async function checkObjects(
  gitDir: string,
  names: readonly string[],
  signal: AbortSignal,
): Promise<({ id: string; type: string; sizeBytes: number } | null)[]> {
  const input = Buffer.from(names.map((name) => `${name}\0`).join(''), 'utf8')
  const format = '--batch-check=%(objectname) %(objecttype) %(objectsize)'
  const { stdout } = await runGit({ gitDir, args: ['cat-file', format, '-z'], input, signal })
  // A name that is missing is printed as it is, with all its newlines; those that are there come whole.
  const lines = names.some((name) => name.includes('\n')) ? [] : stdout.toString('latin1').split('\n')
  return names.map((_, index) => {
    const [, id, type, size] = /^([0-9a-f]{40,64}) (\w+) (\d+)$/.exec(lines[index] ?? '') ?? []
    return id === undefined || type === undefined ? null : { id, type, sizeBytes: Number(size) }
  })
}

/** Several blobs by their ids in one go. */
export async function readBlobs(
  gitDir: string,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, Buffer>> {
  const blobs = new Map<string, Buffer>()
  if (ids.length === 0) return blobs
  const { stdout } = await runGit({ gitDir, args: ['cat-file', '--batch'], input: `${ids.join('\n')}\n`, signal })
  for (let at = 0; at < stdout.length; ) {
    const end = stdout.indexOf('\n', at)
    const [id = '', type = '', size = ''] = stdout.toString('latin1', at, end).split(' ')
    if (type !== 'blob') throw new SlipwayError('context-invalid', `Git object ${id} is ${type}, expected a blob`)
    blobs.set(id, stdout.subarray(end + 1, end + 1 + Number(size)))
    at = end + 1 + Number(size) + 1
  }
  return blobs
}
