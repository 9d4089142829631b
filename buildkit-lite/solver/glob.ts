/** Whether a name in one directory is a pattern: `*`, `?`, `[a-z]`, `[^a]`, `\x`. https://pkg.go.dev/path/filepath#Match */
export function isPattern(text: string): boolean {
  return /[*?[\\]/.test(text)
}

/** One path component's pattern as a regular expression; null where the pattern is malformed. */
export function compileComponent(pattern: string): RegExp | null {
  let source = ''
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern.charAt(at)
    if (character === '*') source += '[^/]*'
    else if (character === '?') source += '[^/]'
    else if (character === '[') {
      const set = readSet(pattern, at)
      if (!set) return null
      source += set.source
      at = set.end
    } else if (character === '\\') {
      if (++at >= pattern.length) return null
      source += escape(pattern.charAt(at))
    } else source += escape(character)
  }
  return new RegExp(`^${source}$`, 's')
}

/** Reads `[…]` that starts at `start`; `end` is the place of its closing bracket. */
function readSet(pattern: string, start: number): { source: string; end: number } | null {
  const negated = pattern[start + 1] === '^'
  let at = start + (negated ? 2 : 1)
  let members = ''
  const one = (): string | null => {
    if (pattern[at] === '\\') at++
    const character = pattern[at++]
    return character === undefined || character === '' ? null : character
  }
  while (at < pattern.length && (pattern[at] !== ']' || members === '')) {
    if (pattern[at] === ']' || pattern[at] === '-') return null
    const low = one()
    if (low === null) return null
    let high = low
    if (pattern[at] === '-') {
      at++
      const next = pattern[at] === ']' ? null : one()
      if (next === null) return null
      high = next
    }
    if (low <= high) members += low === high ? escape(low) : `${escape(low)}-${escape(high)}`
    else members ||= '\\0'
  }
  if (pattern[at] !== ']') return null
  return { source: negated ? `[^/${members}]` : `[${members}]`, end: at }
}

function escape(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
}
