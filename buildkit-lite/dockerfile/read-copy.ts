import { SyntaxFault } from './errors.ts'
import { Flags } from './flags.ts'
import { type Heredoc, parseHeredocMark } from './heredoc.ts'
import type { CopyInstruction } from './instruction.ts'
import type { InstructionParts } from './instruction-parts.ts'
import { parseJsonStrings, splitBlanks } from './words.ts'

const SHARED_FLAGS = {
  chown: 'text',
  chmod: 'text',
  link: 'boolean',
  parents: 'boolean',
  exclude: 'list',
} as const

/** COPY and ADD: flags, sources, destination. */
export function readCopy(kind: 'COPY' | 'ADD', parts: InstructionParts): CopyInstruction {
  const words = readWords(kind, parts.rest)
  const own = kind === 'COPY' ? { from: 'text' as const } : ADD_FLAGS
  const flags = new Flags(parts.flags, { ...own, ...SHARED_FLAGS })
  const from = flags.text('from')
  if (from?.includes('$')) throw new SyntaxFault(EXPANDED_FROM)
  return {
    kind,
    from: from === '' ? null : from,
    ...readPlaces(kind, words, parts.heredocs),
    chown: flags.text('chown'),
    chmod: flags.text('chmod'),
    link: flags.boolean('link') ?? false,
    parents: flags.boolean('parents') ?? false,
    exclude: flags.list('exclude'),
    unpack: flags.boolean('unpack'),
    checksum: flags.text('checksum'),
    keepGitDir: flags.boolean('keep-git-dir'),
  }
}

const ADD_FLAGS = { 'keep-git-dir': 'boolean', checksum: 'text', unpack: 'boolean' } as const

const EXPANDED_FROM =
  'variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround'

function readWords(kind: 'COPY' | 'ADD', rest: string): string[] {
  const words = parseJsonStrings(rest) ?? splitBlanks(rest)
  if (words.length >= 2) return words
  const got = words.length === 0 ? 'none was' : 'only one was'
  throw new SyntaxFault(
    `${kind} requires at least two arguments, but ${got} provided. Destination could not be determined`,
  )
}

/** In the JSON form there are no here-documents: what looks like one is the name of a file. */
function readPlaces(kind: 'COPY' | 'ADD', words: readonly string[], announced: readonly Heredoc[]) {
  const destination = words.at(-1) ?? ''
  if (parseHeredocMark(destination)) throw new SyntaxFault(`${kind} cannot accept a heredoc as a destination`)
  const byName = new Map(announced.map((heredoc) => [heredoc.name, heredoc]))
  const sources: string[] = []
  const heredocs: Heredoc[] = []
  for (const word of words.slice(0, -1)) {
    const mark = word.includes('<<') ? parseHeredocMark(word) : null
    const heredoc = mark ? byName.get(mark.name) : undefined
    if (mark && heredoc) heredocs.push({ ...heredoc, ...mark })
    else sources.push(word)
  }
  return { sources, heredocs, destination }
}
