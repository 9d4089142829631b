import { SyntaxFault } from './errors.ts'

/** What the comment lines at the very top of a Dockerfile say. */
export interface Directives {
  escape: '\\' | '`'
  syntax: string | null
  check: string | null
}

const DIRECTIVE = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/

/** Takes lines from the top; the first one that is no directive ends the block for good. */
export class DirectiveReader {
  readonly #seen = new Map<string, string>()
  #done = false

  /** Whether the line is a directive. */
  accept(line: string): boolean {
    if (this.#done) return false
    const match = DIRECTIVE.exec(line)
    const key = match?.[1]?.toLowerCase() ?? ''
    const value = match?.[2] ?? ''
    if (key !== 'escape' && key !== 'syntax' && key !== 'check') {
      this.#done = true
      return false
    }
    if (this.#seen.has(key)) throw new SyntaxFault(`only one ${key} parser directive can be used`)
    if (key === 'escape' && value !== '\\' && value !== '`') {
      throw new SyntaxFault(`invalid escape token '${value}' does not match \` or \\`)
    }
    if (key === 'syntax') refuseForeignSyntax(value)
    this.#seen.set(key, value)
    return true
  }

  result(): Directives {
    return {
      escape: this.#seen.get('escape') === '`' ? '`' : '\\',
      syntax: this.#seen.get('syntax') ?? null,
      check: this.#seen.get('check') ?? null,
    }
  }
}

const BUILT_IN =
  /^(?:(?:docker\.io\/)?docker\/dockerfile(?:-upstream)?(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?|dockerfile\.v0)$/

/** The one frontend is built in; any release of the standard syntax is read by it. */
function refuseForeignSyntax(value: string): void {
  const image = value.split(' ', 1)[0] ?? ''
  if (BUILT_IN.test(image)) return
  throw new SyntaxFault(`syntax ${image} is not supported: expected docker/dockerfile in any version`)
}
