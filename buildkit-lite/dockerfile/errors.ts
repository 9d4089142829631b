import { SourceError } from '#domain/errors'

/** Lines of a Dockerfile, from 1, both included. */
export interface LineRange {
  first: number
  last: number
}

/** A file the user wrote, for messages that point into it. */
export interface SourceText {
  name: string
  text: string
}

/** A mistake in a Dockerfile, shown with the lines it is in. */
export class DockerfileError extends SourceError {
  constructor(message: string, source: SourceText, lines: LineRange, options?: ErrorOptions) {
    const place = { file: source.name, line: Math.max(1, lines.first), excerpt: renderExcerpt(source, lines) }
    super('dockerfile-invalid', message, place, options)
  }
}

/** A mistake found by a part that does not know where in the file it works; its caller adds the place. */
export class SyntaxFault extends Error {}

/** Runs `work`; a `SyntaxFault` becomes a `DockerfileError` at these lines, with `prefix` in front of its message. */
export function locate<T>(source: SourceText, lines: LineRange, work: () => T, prefix = ''): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error
    throw new DockerfileError(prefix + error.message, source, lines, { cause: error })
  }
}

/** Lines shown before and behind one guilty line, and around several. */
const CONTEXT_LINES = { one: 2, several: 1 }
const RULE = '-'.repeat(20)
/** A line may have 64 KiB; nobody reads so much of it. */
const SHOWN_CHARACTERS = 1000

/** The lines with their numbers, `>>>` at the guilty ones and one or two lines around them. */
export function renderExcerpt({ name, text }: SourceText, lines: LineRange): string {
  return renderLines(name, text.split('\n'), lines)
}

/** The same of a file that is in lines already. */
export function renderLines(name: string, all: readonly string[], lines: LineRange): string {
  const first = Math.min(Math.max(1, lines.first), all.length)
  const last = Math.min(Math.max(first, lines.last), all.length)
  const around = first === last ? CONTEXT_LINES.one : CONTEXT_LINES.several
  const start = Math.max(1, first - around)
  const shown = all.slice(start - 1, last + around).map((line) => line.replace(/\r$/, ''))
  const body = shown.map((line, index) => {
    const number = start + index
    const marker = number >= first && number <= last ? '>>> ' : '    '
    const shown = line.length > SHOWN_CHARACTERS ? `${line.slice(0, SHOWN_CHARACTERS)}…` : line
    return `${String(number).padStart(4)} | ${marker}${shown}`
  })
  return [`${name}:${first}`, RULE, ...body, RULE].join('\n')
}

/** ` (did you mean X?)` where a known word is at most two edits away, else nothing. */
export function suggest(word: string, known: readonly string[]): string {
  let best: { word: string; distance: number } | null = null
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance <= 2 && distance < (best?.distance ?? 3)) best = { word: candidate, distance }
  }
  return best ? ` (did you mean ${best.word}?)` : ''
}

/** The known word that is at most two edits away, large and small letters told apart; null where there is none. */
export function closestWord(word: string, known: Iterable<string>): string | null {
  let best: { word: string; distance: number } | null = null
  for (const candidate of known) {
    const distance = editDistance(word, candidate)
    if (distance <= 2 && distance < (best?.distance ?? 3)) best = { word: candidate, distance }
  }
  return best?.word ?? null
}

/** Levenshtein's distance; long words are not compared. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2 || a.length > 64) return Number.POSITIVE_INFINITY
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const swap = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(swap, (previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1))
    }
    previous = row
  }
  return previous[b.length] ?? 0
}
