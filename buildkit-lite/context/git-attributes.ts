import { runGit, type TreePlace, type TreeRecord } from './git-objects.ts'

/** What attributes make of files when they are checked out. */
export interface Conversions {
  /** By path: what is done to a file, in words that differ where its bytes may. */
  words: ReadonlyMap<string, string>
  /** Files whose content lies in a store of large files, with only a pointer to it in the repository. */
  pointers: ReadonlySet<string>
}

export const NO_CONVERSIONS: Conversions = { words: new Map(), pointers: new Set() }

/** Attributes that change bytes; that a file is `text` alone does not, where lines end as they do here. */
const RELEVANT = /eol\s*=\s*crlf|\bident\b|working-tree-encoding|\bfilter\b/
const NAMES = ['text', 'crlf', 'eol', 'ident', 'working-tree-encoding', 'filter']

/** The files of attributes that may concern a directory: those below it, and those on the way to it. */
export function attributeFiles({ commit, subdirectory }: TreePlace, records: readonly TreeRecord[]): string[] {
  const parts = subdirectory.split('/').filter(Boolean)
  const above = parts.map((_, index) => `${commit}:${[...parts.slice(0, index), '.gitattributes'].join('/')}`)
  const below = records.filter(({ entry }) => /(?:^|\/)\.gitattributes$/.test(entry.path) && entry.kind === 'file')
  return [...above, ...below.map(({ id }) => id)]
}

/** Whether any of these files says something that changes bytes. */
export async function areRelevant(gitDir: string, objects: readonly string[], signal: AbortSignal): Promise<boolean> {
  if (objects.length === 0) return false
  // A name of the repository's own could hold a newline; then it has no attributes that count.
  const input = `${objects.filter((name) => !name.includes('\n')).join('\n')}\n`
  const { stdout } = await runGit({ gitDir, args: ['cat-file', '--batch'], input, signal })
  return RELEVANT.test(stdout.toString('latin1'))
}

/** What attributes say of each file; `env` names the index that has them all, below `prefix`. */
export async function readConversions(
  { gitDir, env, prefix }: { gitDir: string; env: Readonly<Record<string, string>>; prefix: string },
  records: readonly TreeRecord[],
  signal: AbortSignal,
): Promise<Conversions> {
  const paths = records.filter(({ entry }) => entry.kind === 'file').map(({ entry }) => `${prefix}${entry.path}\0`)
  const args = ['check-attr', '--cached', '-z', '--stdin', ...NAMES]
  const { stdout } = await runGit({ gitDir, args, env, input: Buffer.from(paths.join(''), 'latin1'), signal })
  const fields = stdout.toString('latin1').split('\0')
  const words = new Map<string, string>()
  const pointers = new Set<string>()
  const step = NAMES.length * 3
  for (let at = 0; at + step <= fields.length; at += step) {
    const path = (fields[at] ?? '').slice(prefix.length)
    const [text, crlf, eol, ident, encoding, filter] = NAMES.map((_, index) => fields[at + index * 3 + 2] ?? '')
    const said = [
      ...(eol === 'crlf' && text !== 'unset' ? [`eol=crlf text=${text} crlf=${crlf}`] : []),
      ...(ident === 'set' ? ['ident'] : []),
      ...(isValue(encoding) ? [`encoding=${encoding}`] : []),
    ]
    if (said.length > 0) words.set(path, said.join(' '))
    if (filter === 'lfs') pointers.add(path)
  }
  return { words, pointers }
}

function isValue(value: string | undefined): boolean {
  return !['unspecified', 'unset', 'set', '', undefined].includes(value)
}
