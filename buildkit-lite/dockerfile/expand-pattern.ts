import { SyntaxFault } from './errors.ts'

/** One place of a pattern: a character, or null for any one. */
type Place = string | null

/** What stands between the stars of a pattern: a pattern with N stars has N + 1 pieces, and some may be empty. */
type Pieces = readonly (readonly Place[])[]

/** Patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: `*`, `?` and escapes, with no bracket classes. */
function compileShellPattern(pattern: string): Pieces {
  const characters = Array.from(pattern)
  const pieces: Place[][] = [[]]
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at] ?? ''
    if (character === '*') pieces.push([])
    else if (character === '?') pieces.at(-1)?.push(null)
    else if (character === '\\') {
      at++
      pieces.at(-1)?.push(escaped(pattern, characters[at]))
    } else pieces.at(-1)?.push(character)
  }
  return pieces
}

function escaped(pattern: string, character: string | undefined): string {
  if (character !== undefined && '*?\\}/'.includes(character)) return character
  const got = `invalid escape '\\${character ?? ''}'`
  throw new SyntaxFault(`invalid pattern (${pattern}) in substitution: ${got}, only * ? \\ } and / can be escaped`)
}

/** Where patterns meet texts of this many comparisons it is no template any more, but an attempt to keep us busy. */
const MAX_COMPARISONS = 1e9

function refuseHugeWork(value: readonly string[], pattern: string): void {
  if (value.length * pattern.length <= MAX_COMPARISONS) return
  throw new SyntaxFault(`a pattern of ${pattern.length} characters is too long for a value of ${value.length}`)
}

/** `value` without the shortest or longest prefix, or suffix, that the pattern matches. */
export function trimMatch(value: string, pattern: string, options: { end: boolean; longest: boolean }): string {
  const written = Array.from(value)
  refuseHugeWork(written, pattern)
  const pieces = compileShellPattern(pattern)
  // A suffix is a prefix of everything backwards.
  const characters = options.end ? written.toReversed() : written
  const prefix = options.end ? pieces.map((piece) => piece.toReversed()).toReversed() : pieces
  const taken = matchAt(prefix, characters, 0, options.longest)
  if (taken === null) return value
  return (options.end ? written.slice(0, written.length - taken) : written.slice(taken)).join('')
}

/** `value` with the first match, or every match, replaced; each match is the longest at the leftmost place. */
export function replaceMatches(value: string, pattern: string, options: ReplaceOptions): string {
  const characters = Array.from(value)
  refuseHugeWork(characters, pattern)
  const pieces = compileShellPattern(pattern)
  const kept: string[] = []
  let length = 0
  let copied = 0
  let lastEnd = -1
  for (let at = 0; at <= characters.length; ) {
    const match = findMatch(pieces, characters, at)
    if (!match) break
    const { start, end } = match
    at = end > start ? end : end + 1
    // Nothing at all, directly behind a match, is no match of its own.
    if (end === lastEnd) continue
    kept.push(characters.slice(copied, start).join(''), options.replacement)
    length += start - copied + options.replacement.length
    if (length > options.limit) throw new SyntaxFault(`the result is longer than ${options.limit} characters`)
    copied = end
    lastEnd = end
    if (!options.all) break
  }
  return kept.join('') + characters.slice(copied).join('')
}

interface ReplaceOptions {
  replacement: string
  all: boolean
  /** Characters that the result may have. */
  limit: number
}

/** Where a match that begins at `start` ends: the first or the last place possible. */
function matchAt(pieces: Pieces, text: readonly string[], start: number, longest: boolean): number | null {
  const [first = [], ...others] = pieces
  if (!standsAt(first, text, start)) return null
  let end = start + first.length
  for (const [index, piece] of others.entries()) {
    // The earliest place for each piece leaves the most room for those behind it.
    const last = longest && index === others.length - 1
    const found = last ? findLast(piece, text, end) : findFirst(piece, text, end)
    if (found === null) return null
    end = found + piece.length
  }
  return end
}

/** The leftmost match from `from` on; where the earliest first piece leads nowhere, no later one does. */
function findMatch(pieces: Pieces, text: readonly string[], from: number): { start: number; end: number } | null {
  const start = findFirst(pieces[0] ?? [], text, from)
  const end = start === null ? null : matchAt(pieces, text, start, true)
  return start === null || end === null ? null : { start, end }
}

function standsAt(piece: readonly Place[], text: readonly string[], at: number): boolean {
  if (at + piece.length > text.length) return false
  for (let index = 0; index < piece.length; index++) {
    if (piece[index] !== null && piece[index] !== text[at + index]) return false
  }
  return true
}

function findFirst(piece: readonly Place[], text: readonly string[], from: number): number | null {
  for (let at = from; at + piece.length <= text.length; at++) if (standsAt(piece, text, at)) return at
  return null
}

function findLast(piece: readonly Place[], text: readonly string[], from: number): number | null {
  for (let at = text.length - piece.length; at >= from; at--) if (standsAt(piece, text, at)) return at
  return null
}
