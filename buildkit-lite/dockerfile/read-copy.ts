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
  const own = kind === 'COPY' ? { from: 'text' as const } : ADD_FLAGS
  const flags = new Flags(parts.flags, { ...own, ...SHARED_FLAGS })
  const from = flags.text('from')
  if (from?.includes('$')) throw new SyntaxFault(EXPANDED_FROM)
  return {
    kind,
    from: from === '' ? null : from,
    ...readPlaces(kind, parts),
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

function readPlaces(kind: 'COPY' | 'ADD', parts: InstructionParts) {
  const words = parseJsonStrings(parts.rest) ?? splitBlanks(parts.rest)
  const destination = words.at(-1)
  if (destination === undefined || words.length < 2) {
    const got = words.length === 0 ? 'none was' : 'only one was'
    throw new SyntaxFault(
      `${kind} requires at least two arguments, but ${got} provided. Destination could not be determined`,
    )
  }
  if (parseHeredocMark(destination)) throw new SyntaxFault(`${kind} cannot accept a heredoc as a destination`)
  const sources: string[] = []
  const heredocs: Heredoc[] = []
  for (const word of words.slice(0, -1)) {
    const mark = word.startsWith('<<') ? parseHeredocMark(word) : null
    const heredoc = mark ? parts.heredocs.find((candidate) => candidate.name === mark.name) : undefined
    if (heredoc) heredocs.push(heredoc)
    else sources.push(word)
  }
  return { sources, heredocs, destination }
}
