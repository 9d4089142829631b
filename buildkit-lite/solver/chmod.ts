import { SlipwayError } from '#domain/errors'

/** `--chmod` as parsed: a whole mode, or changes to the mode a file has. */
export type ModeChange = { kind: 'octal'; mode: number } | { kind: 'symbolic'; clauses: readonly Clause[] }

interface Clause {
  who: string
  operator: string
  /** Of `rwxXst`, and of `ugo`, whose permissions are copied. */
  permissions: string
}

const OCTAL = /^[0-7]+$/
const MAX_MODE = 0o7777
const CLAUSE = /^([ugoa]*)((?:[-+=][rwxXstugo]*)+)$/

/** Whether a text is a mode at all. */
export function isModeChange(text: string): boolean {
  if (OCTAL.test(text)) return Number.parseInt(text, 8) <= MAX_MODE
  return text.split(',').every((part) => CLAUSE.test(part))
}

/** Reads `755`, `u=rwX,go=rX`, `+x`, `g=u`. https://man.freebsd.org/cgi/man.cgi?query=chmod */
export function parseModeChange(text: string): ModeChange {
  if (!isModeChange(text)) throw new SlipwayError('dockerfile-invalid', badMode(text))
  if (OCTAL.test(text)) return { kind: 'octal', mode: Number.parseInt(text, 8) }
  return { kind: 'symbolic', clauses: text.split(',').flatMap(readClauses) }
}

export function badMode(text: string): string {
  return `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777, or symbolic as u=rwX,go=rX`
}

function readClauses(part: string): Clause[] {
  const [, who = '', actions = ''] = CLAUSE.exec(part) ?? []
  return [...actions.matchAll(/([-+=])([rwxXstugo]*)/g)].map(([, operator = '', permissions = '']) => ({
    who: who === '' || who.includes('a') ? 'ugo' : who,
    operator,
    permissions,
  }))
}

/** The mode that a file or directory of mode `mode` gets. */
export function changeMode(change: ModeChange, mode: number, isDirectory: boolean): number {
  if (change.kind === 'octal') return change.mode
  // Whether `X` counts is asked of the mode as it was, whatever earlier clauses did to it.
  const isExecutable = isDirectory || (mode & 0o111) !== 0
  return change.clauses.reduce((current, clause) => applyClause(clause, current, isExecutable), mode)
}

/** Whose bits stand where, with the special bit that goes with them. */
const CLASSES = [
  { letter: 'u', shift: 6, special: 0o4000 },
  { letter: 'g', shift: 3, special: 0o2000 },
  { letter: 'o', shift: 0, special: 0 },
] as const
const STICKY = 0o1000

function applyClause({ who, operator, permissions }: Clause, mode: number, isExecutable: boolean): number {
  const has = (letter: string): boolean => permissions.includes(letter)
  const copied = CLASSES.reduce((bits, { letter, shift }) => bits | (has(letter) ? (mode >> shift) & 7 : 0), 0)
  const triple = copied | (has('r') ? 4 : 0) | (has('w') ? 2 : 0) | (has('x') || (has('X') && isExecutable) ? 1 : 0)
  let bits = 0
  let reach = 0
  for (const { letter, shift, special } of CLASSES) {
    if (!who.includes(letter)) continue
    bits |= (triple << shift) | (has('s') ? special : 0)
    reach |= (7 << shift) | special
  }
  // It is nothing that others alone could have.
  if (has('t') && who !== 'o') {
    bits |= STICKY
    reach |= STICKY
  }
  if (operator === '+') return mode | bits
  if (operator === '-') return mode & ~bits
  return (mode & ~reach) | bits
}
