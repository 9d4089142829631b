import { type GlobToken, matchTokens } from '../context/glob.ts'
import { SyntaxFault } from './errors.ts'

/** Patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: `*`, `?` and escapes, with no bracket classes. */
function compileShellPattern(pattern: string): readonly GlobToken[] {
  const characters = Array.from(pattern)
  const tokens: GlobToken[] = []
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at] ?? ''
    if (character === '*') tokens.push({ kind: 'many', slash: true })
    else if (character === '?') tokens.push({ kind: 'any', slash: true })
    else if (character === '\\') {
      at++
      tokens.push({ kind: 'character', character: escaped(pattern, characters[at]) })
    } else tokens.push({ kind: 'character', character })
  }
  return tokens
}

function escaped(pattern: string, character: string | undefined): string {
  if (character !== undefined && '*?\\}/'.includes(character)) return character
  throw new SyntaxFault(`invalid pattern (${pattern}) in substitution: invalid escape '\\${character ?? ''}'`)
}

/** `value` without the shortest or longest prefix, or suffix, that the pattern matches. */
export function trimMatch(value: string, pattern: string, options: { end: boolean; longest: boolean }): string {
  const tokens = compileShellPattern(pattern)
  const characters = Array.from(value)
  for (let step = 0; step <= characters.length; step++) {
    const taken = options.longest ? characters.length - step : step
    const cut = options.end ? characters.length - taken : taken
    const piece = options.end ? characters.slice(cut) : characters.slice(0, cut)
    if (!matchTokens(tokens, piece.join(''))) continue
    return (options.end ? characters.slice(0, cut) : characters.slice(cut)).join('')
  }
  return value
}

/** `value` with the first match, or every match, replaced; each match is the longest at the leftmost place. */
export function replaceMatches(value: string, pattern: string, replacement: string, all: boolean): string {
  const tokens = compileShellPattern(pattern)
  const characters = Array.from(value)
  let result = ''
  let at = 0
  while (at <= characters.length) {
    const end = longestMatchAt(tokens, characters, at)
    if (end === null) {
      result += characters[at] ?? ''
      at++
      continue
    }
    result += replacement
    if (!all) return result + characters.slice(end).join('')
    if (end === at) result += characters[at] ?? ''
    at = Math.max(end, at + 1)
    if (at === characters.length) break
  }
  return result
}

function longestMatchAt(tokens: readonly GlobToken[], characters: readonly string[], start: number): number | null {
  for (let end = characters.length; end >= start; end--) {
    if (matchTokens(tokens, characters.slice(start, end).join(''))) return end
  }
  return null
}
