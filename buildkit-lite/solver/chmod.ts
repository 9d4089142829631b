import { SlipwayError } from '#domain/errors'

/** `--chmod` as parsed: a whole mode, or changes to the mode a file has. */
export type ModeChange = { kind: 'octal'; mode: number } | { kind: 'symbolic'; clauses: readonly Clause[] }

interface Clause {
  /** Of `ugoa`; empty is everybody. */
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
    who,
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

/** What a class reaches, with the special bit that goes with it; `a` leaves the sticky bit alone. */
const REACH: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o007, a: 0o6777 }
const BITS: Readonly<Record<string, number>> = { r: 0o444, w: 0o222, x: 0o111 }
const SHIFT: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 }
const STICKY = 0o1000

/** Letters count in their order: one of `ugo` applies what stands before it, then copies. */
function applyClause({ who, operator, permissions }: Clause, before: number, isExecutable: boolean): number {
  let mode = before
  let reach = 0
  for (const letter of who) reach |= REACH[letter] ?? 0
  let pending = 0
  let pendingExecute = 0
  let isCleared = operator !== '='
  const apply = (): void => {
    if (operator === '=') mode &= ~(reach || 0o6777)
    isCleared = true
    const bits = pending & (reach || MAX_MODE)
    mode = operator === '-' ? mode & ~bits : mode | bits
    pending = 0
  }
  const applyExecute = (): void => {
    mode |= pendingExecute & (reach || MAX_MODE)
    pendingExecute = 0
  }
  for (const letter of permissions) {
    // Others alone can have neither a special bit nor the sticky one.
    const takesSpecial = reach === 0 || (reach & ~0o007) !== 0
    if (letter in SHIFT) {
      if (pending !== 0) apply()
      applyExecute()
      mode = copyBits({ mode, reach, operator }, letter)
      isCleared = true
    } else if (letter === 's') pending |= takesSpecial ? 0o6000 : 0
    else if (letter === 't') {
      // Where nobody is named it reaches the sticky bit and nothing else.
      reach |= takesSpecial ? STICKY : 0
      pending |= takesSpecial ? STICKY : 0
    } else if (letter === 'X' && operator !== '-') pendingExecute = isExecutable ? 0o111 : 0
    else pending |= BITS[letter.toLowerCase()] ?? 0
  }
  if (pending !== 0 || !isCleared) apply()
  applyExecute()
  return mode
}

/** Permissions alone are copied and replaced: setuid and setgid stay. */
function copyBits({ mode, reach, operator }: { mode: number; reach: number; operator: string }, from: string): number {
  const targets = reach === 0 ? 0o777 : reach & 0o777
  const bits = (((mode >> (SHIFT[from] ?? 0)) & 7) * 0o111) & targets
  if (operator === '+') return mode | bits
  if (operator === '-') return mode & ~bits
  return (mode & ~targets) | bits
}
