import { SlipwayError } from '#domain/errors'

/** `--chmod` as parsed: a whole mode, or changes to the mode a file has. */
export type ModeChange = { kind: 'octal'; mode: number } | { kind: 'symbolic'; clauses: readonly Clause[] }

interface Clause {
  who: string
  operator: string
  permissions: string
}

const CLAUSE = /^([ugoa]*)((?:[-+=][rwxXst]*)+)$/

/** Reads `755`, `u=rwX,go=rX`, `+x`. https://man7.org/linux/man-pages/man1/chmod.1.html */
export function parseModeChange(text: string): ModeChange {
  if (/^[0-7]+$/.test(text) && Number.parseInt(text, 8) <= 0o7777)
    return { kind: 'octal', mode: Number.parseInt(text, 8) }
  const clauses: Clause[] = []
  for (const part of text.split(',')) {
    const match = CLAUSE.exec(part)
    if (!match)
      throw new SlipwayError(
        'dockerfile-invalid',
        `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777, or symbolic as u=rwX,go=rX`,
      )
    const [, who = '', actions = ''] = match
    for (const [, operator = '', permissions = ''] of actions.matchAll(/([-+=])([rwxXst]*)/g))
      clauses.push({ who: who === '' || who.includes('a') ? 'ugo' : who, operator, permissions })
  }
  return { kind: 'symbolic', clauses }
}

/** The mode that a file or directory of mode `mode` gets. */
export function changeMode(change: ModeChange, mode: number, isDirectory: boolean): number {
  if (change.kind === 'octal') return change.mode
  return change.clauses.reduce((current, clause) => applyClause(clause, current, isDirectory), mode)
}

function applyClause({ who, operator, permissions }: Clause, mode: number, isDirectory: boolean): number {
  const isExecutable = isDirectory || (mode & 0o111) !== 0
  const has = (letter: string): boolean => permissions.includes(letter)
  const triple = (has('r') ? 4 : 0) | (has('w') ? 2 : 0) | (has('x') || (has('X') && isExecutable) ? 1 : 0)
  let bits = 0
  let reach = 0
  for (const [letter, shift, special] of [
    ['u', 6, 0o4000],
    ['g', 3, 0o2000],
    ['o', 0, 0],
  ] as const) {
    if (!who.includes(letter)) continue
    bits |= (triple << shift) | (has('s') ? special : 0)
    reach |= (7 << shift) | special
  }
  if (has('t')) bits |= 0o1000
  if (operator === '+') return mode | bits
  if (operator === '-') return mode & ~bits
  // As chmod(1): "=" leaves a directory's set-id bits alone unless they are named.
  return (mode & ~(isDirectory ? reach & 0o777 : reach)) | bits
}
