/**
 * Wildcard patterns without backtracking: a pattern is a row of tokens, and matching walks the text once with the set
 * of positions the pattern may be at. Time is text length times pattern length, whatever the pattern.
 */
export type GlobToken =
  | { kind: 'character'; character: string }
  /** One character; `slash` says whether it may be `/`. */
  | { kind: 'any'; slash: boolean }
  /** Any number of characters. */
  | { kind: 'many'; slash: boolean }
  /** Nothing, or anything that ends with `/`. */
  | { kind: 'directories' }
  | { kind: 'class'; negated: boolean; ranges: readonly (readonly [string, string])[] }

/** A pattern that cannot be read; worded as users of other builders know it. */
export class BadPattern extends Error {}

/** A test for whole texts. Most are told apart by the plain ends of the pattern already. */
export function createMatcher(tokens: readonly GlobToken[]): (text: string) => boolean {
  const prefix = plainText(tokens).join('')
  const suffix = plainText(tokens.toReversed()).toReversed().join('')
  return (text) => text.startsWith(prefix) && text.endsWith(suffix) && matchTokens(tokens, text)
}

function plainText(tokens: readonly GlobToken[]): string[] {
  const characters: string[] = []
  for (const token of tokens) {
    if (token.kind !== 'character') break
    characters.push(token.character)
  }
  return characters
}

/** Whether the whole text matches. */
export function matchTokens(tokens: readonly GlobToken[], text: string): boolean {
  let states = new Uint8Array(tokens.length + 1)
  let next = new Uint8Array(tokens.length + 1)
  states[0] = 1
  skipEmpty(tokens, states)
  for (const character of text) {
    let alive = false
    for (let at = 0; at < tokens.length; at++) {
      const token = tokens[at]
      if (states[at] && token && advance(token, character, at, next)) alive = true
    }
    if (!alive) return false
    skipEmpty(tokens, next)
    const spent = states
    states = next
    next = spent.fill(0)
  }
  return states[tokens.length] === 1
}

/** Marks in `next` where the pattern may be after one more character; false where it cannot go on. */
function advance(token: GlobToken, character: string, at: number, next: Uint8Array): boolean {
  switch (token.kind) {
    case 'character':
      if (token.character !== character) return false
      next[at + 1] = 1
      return true
    case 'any':
      if (character === '/' && !token.slash) return false
      next[at + 1] = 1
      return true
    case 'many':
      if (character === '/' && !token.slash) return false
      next[at] = 1
      return true
    case 'directories':
      // Inside, it stays unfinished (position kept in the high bit) until a slash lets it end.
      next[at] = next[at] === 1 ? 1 : 2
      if (character === '/') next[at + 1] = 1
      return true
    case 'class': {
      const inside = token.ranges.some(([low, high]) => character >= low && character <= high)
      if (inside === token.negated) return false
      next[at + 1] = 1
      return true
    }
    default:
      return token satisfies never
  }
}

/** Follows tokens that may match nothing. A state of 2 is inside `directories`, which may not end there. */
function skipEmpty(tokens: readonly GlobToken[], states: Uint8Array): void {
  for (let at = 0; at < tokens.length; at++) {
    const kind = tokens[at]?.kind
    if (states[at] === 1 && (kind === 'many' || kind === 'directories')) states[at + 1] = 1
  }
}

/** Whether a path component needs matching rather than comparing. */
export function hasWildcard(text: string): boolean {
  return /[*?[\\]/.test(text)
}

/** The class after `[` at `start`: its token and the index behind `]`. As in Go's `filepath.Match`. */
function readClass(pattern: readonly string[], start: number): { token: GlobToken; end: number } {
  let at = start + 1
  const negated = pattern[at] === '^'
  if (negated) at++
  const ranges: [string, string][] = []
  const fail = (): never => {
    throw new BadPattern(`syntax error in pattern "${pattern.join('')}"`)
  }
  const one = (): string => {
    const raw = pattern[at] ?? fail()
    if (raw === '-' || (raw === ']' && ranges.length === 0)) fail()
    if (raw !== '\\') {
      at++
      return raw
    }
    const escaped = pattern[at + 1] ?? fail()
    at += 2
    return escaped
  }
  while (pattern[at] !== ']' || ranges.length === 0) {
    const low = one()
    let high = low
    if (pattern[at] === '-') {
      at++
      high = one()
    }
    ranges.push([low, high])
  }
  return { token: { kind: 'class', negated, ranges }, end: at + 1 }
}

/** A pattern of COPY, as Go's `filepath.Match` reads it; with `deep`, `**` crosses directories as in .dockerignore. */
export function compileGlob(pattern: string, deep = false): readonly GlobToken[] {
  const characters = Array.from(pattern)
  const tokens: GlobToken[] = []
  for (let at = 0; at < characters.length; ) {
    const character = characters[at] ?? ''
    if (character === '*') {
      const { token, end } = readStars(characters, at, deep)
      tokens.push(token)
      at = end
    } else if (character === '?') {
      tokens.push({ kind: 'any', slash: false })
      at++
    } else if (character === '[') {
      const { token, end } = readClass(characters, at)
      tokens.push(token)
      at = end
    } else if (character === '\\') {
      const escaped = characters[at + 1]
      if (escaped === undefined) throw new BadPattern(`syntax error in pattern "${pattern}"`)
      tokens.push({ kind: 'character', character: escaped })
      at += 2
    } else {
      tokens.push({ kind: 'character', character })
      at++
    }
  }
  return tokens
}

function readStars(characters: readonly string[], start: number, deep: boolean): { token: GlobToken; end: number } {
  let end = start
  while (characters[end] === '*') end++
  if (!deep || end - start < 2) return { token: { kind: 'many', slash: false }, end }
  if (characters[end] === '/') end++
  if (end === characters.length) return { token: { kind: 'many', slash: true }, end }
  return { token: { kind: 'directories' }, end }
}
