import { SyntaxFault } from './errors.ts'

/** What the comment lines at the very top of a Dockerfile say. */
export interface Directives {
  escape: '\\' | '`'
  syntax: string | null
  check: string | null
}

const KEYS = ['escape', 'syntax', 'check']

/** Takes lines from the top; the first one that is no directive ends the block for good. */
export class DirectiveReader {
  readonly #seen = new Map<string, string>()
  readonly #default: Directives['escape']
  #done = false

  constructor(escape: Directives['escape']) {
    this.#default = escape
  }

  /** Whether the line is a directive. */
  accept(line: string): boolean {
    if (this.#done) return false
    const directive = parseDirective(line, '#')
    if (!directive) {
      this.#done = true
      return false
    }
    const { key, value } = directive
    if (this.#seen.has(key)) throw new SyntaxFault(`only one ${key} parser directive can be used`)
    if (key === 'escape' && value !== '\\' && value !== '`') {
      throw new SyntaxFault(`invalid escape token '${value}' does not match \` or \\`)
    }
    this.#seen.set(key, value)
    return true
  }

  get escape(): Directives['escape'] {
    const value = this.#seen.get('escape')
    return value === '`' || value === '\\' ? value : this.#default
  }

  result(): Directives {
    const { escape } = this
    return { escape, syntax: this.#seen.get('syntax') ?? null, check: this.#seen.get('check') ?? null }
  }
}

/** `key = value` behind the comment sign; null where it is none of ours. */
export function parseDirective(line: string, sign: string): { key: string; value: string } | null {
  if (!line.startsWith(sign)) return null
  const text = line.slice(sign.length)
  const match = /^\s*([a-zA-Z][a-zA-Z0-9]*)\s*=/.exec(text)
  const key = match?.[1]?.toLowerCase() ?? ''
  const value = text.slice(match?.[0].length).trim()
  return match && KEYS.includes(key) && value !== '' ? { key, value } : null
}
