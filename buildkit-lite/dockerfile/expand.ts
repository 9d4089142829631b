import { SyntaxFault } from './errors.ts'
import { replaceMatches, trimMatch } from './expand-pattern.ts'
import { quote } from './quote.ts'

/** Variables by name; only `get` is used. */
export type Variables = Pick<ReadonlyMap<string, string>, 'get'>

export interface ExpandOptions {
  /** The escape character of the Dockerfile: `\` or a backquote. */
  escape: string
  /** Quotes are ordinary characters, as in the body of a COPY heredoc. */
  literalQuotes?: boolean
}

export interface Expanded {
  text: string
  /** The text split at blanks that were neither quoted nor escaped. */
  words: readonly string[]
  /** Names that had a value. */
  used: ReadonlySet<string>
  /** Names that had no value. */
  unset: ReadonlySet<string>
}

/** Expands variables and removes quotes and escapes. A mistake is a `SyntaxFault`. */
export function expand(source: string, variables: Variables, options: ExpandOptions): Expanded {
  const reader = new WordReader(source, variables, options)
  try {
    return { ...reader.readUntil(null, false), used: reader.used, unset: reader.unset }
  } catch (error) {
    if (error instanceof SyntaxFault) throw new SyntaxFault(`failed to process ${quote(source)}: ${error.message}`)
    throw error
  }
}

const MISSING_BRACE = "syntax error: missing '}'"
const BLANK = /\s/u

/** Splits while text is collected: a quoted piece never ends a word. */
class WordCollector {
  text = ''
  readonly words: string[] = []
  #word = ''

  add(piece: string, splits: boolean): void {
    this.text += piece
    if (!splits) {
      this.#word += piece
      return
    }
    for (const character of piece) {
      if (BLANK.test(character)) this.finish()
      else this.#word += character
    }
  }

  finish(): void {
    if (this.#word !== '') this.words.push(this.#word)
    this.#word = ''
  }
}

class WordReader {
  readonly used = new Set<string>()
  readonly unset = new Set<string>()
  readonly #characters: readonly string[]
  readonly #variables: Variables
  readonly #options: ExpandOptions
  #at = 0

  constructor(source: string, variables: Variables, options: ExpandOptions) {
    this.#characters = Array.from(source)
    this.#variables = variables
    this.#options = options
  }

  /** Reads to the stop character, which is taken, or to the end; `keepEscapes` leaves escapes for a pattern reader. */
  readUntil(stop: string | null, keepEscapes: boolean): { text: string; words: readonly string[] } {
    const collected = new WordCollector()
    for (let next = this.#peek(); next !== undefined; next = this.#peek()) {
      if (next === stop) {
        this.#at++
        collected.finish()
        return collected
      }
      if (next === '$') collected.add(this.#readDollar(), true)
      else if (next === "'" && !this.#options.literalQuotes) collected.add(this.#readSingleQuoted(), false)
      else if (next === '"' && !this.#options.literalQuotes) collected.add(this.#readDoubleQuoted(keepEscapes), false)
      else if (next === this.#options.escape) collected.add(this.#readEscaped(keepEscapes), false)
      else collected.add(this.#take(), true)
    }
    if (stop !== null) throw new SyntaxFault(`unexpected end of statement while looking for matching ${stop}`)
    collected.finish()
    return collected
  }

  #peek(): string | undefined {
    return this.#characters[this.#at]
  }

  #take(): string {
    return this.#characters[this.#at++] ?? ''
  }

  #readEscaped(keepEscapes: boolean): string {
    const escape = this.#take()
    const escaped = this.#take()
    return keepEscapes ? escape + escaped : escaped
  }

  #readSingleQuoted(): string {
    this.#at++
    const end = this.#characters.indexOf("'", this.#at)
    if (end < 0) {
      this.#at = this.#characters.length
      throw new SyntaxFault('unexpected end of statement while looking for matching single-quote')
    }
    const text = this.#characters.slice(this.#at, end).join('')
    this.#at = end + 1
    return text
  }

  #readDoubleQuoted(keepEscapes: boolean): string {
    this.#at++
    let text = ''
    for (let next = this.#peek(); next !== undefined; next = this.#peek()) {
      if (next === '"') {
        this.#at++
        return text
      }
      text += next === '$' ? this.#readDollar() : this.#readQuotedCharacter(keepEscapes)
    }
    throw new SyntaxFault('unexpected end of statement while looking for matching double-quote')
  }

  /** In double quotes only the quote, the dollar and the escape itself can be escaped. */
  #readQuotedCharacter(keepEscapes: boolean): string {
    const character = this.#take()
    const next = this.#peek()
    if (character !== this.#options.escape || next === undefined) return character
    if (next !== '"' && next !== '$' && next !== this.#options.escape) return character
    this.#at++
    return keepEscapes ? character + next : next
  }

  #readDollar(): string {
    this.#at++
    if (this.#peek() === '{') return this.#readBraces()
    const name = this.#readName()
    return name === '' ? '$' : (this.#valueOf(name) ?? '')
  }

  #readName(): string {
    const rest = this.#characters.slice(this.#at, this.#at + 256).join('')
    const name = /^(?:\d+|[@*#?\-$!]|[\p{L}_][\p{L}\d_]*)/u.exec(rest)?.[0] ?? ''
    this.#at += Array.from(name).length
    return name
  }

  #valueOf(name: string): string | undefined {
    const value = this.#variables.get(name)
    if (value === undefined) this.unset.add(name)
    else this.used.add(name)
    return value
  }

  #readBraces(): string {
    this.#at++
    const first = this.#peek()
    if (first === undefined) throw new SyntaxFault(MISSING_BRACE)
    if ('{}:'.includes(first)) throw new SyntaxFault('syntax error: bad substitution')
    const name = this.#readName()
    const modifier = this.#take()
    if (modifier === '}') return this.#valueOf(name) ?? ''
    if (modifier === '/') return this.#readReplacement(name)
    if (modifier === '#' || modifier === '%') return this.#readTrim(name, modifier)
    const strict = modifier === ':'
    return this.#readAlternative(name, strict ? this.#take() : modifier, strict)
  }

  /** The rest of `${name…}` up to the brace; any end of the text in it is a missing brace. */
  #readRest(stop: string, keepEscapes: boolean, missing: string): string {
    try {
      return this.readUntil(stop, keepEscapes).text
    } catch (error) {
      if (error instanceof SyntaxFault && this.#peek() === undefined) throw new SyntaxFault(missing)
      throw error
    }
  }

  #readTrim(name: string, modifier: string): string {
    const word = this.#readRest('}', true, MISSING_BRACE)
    const longest = word.startsWith(modifier)
    const value = this.#valueOf(name) ?? ''
    return trimMatch(value, longest ? word.slice(1) : word, { end: modifier === '%', longest })
  }

  #readReplacement(name: string): string {
    const all = this.#peek() === '/'
    if (all) this.#at++
    const pattern = this.#readRest('/', true, "syntax error: missing '/' in ${}")
    const replacement = this.#readRest('}', true, MISSING_BRACE)
    return replaceMatches(this.#valueOf(name) ?? '', pattern, replacement, all)
  }

  /** `-`, `+` and `?`; `strict` (a colon in front) treats an empty value as none. */
  #readAlternative(name: string, modifier: string, strict: boolean): string {
    const unsupported = `unsupported modifier (${strict ? ':' : ''}${modifier}) in substitution`
    if (modifier === '') throw new SyntaxFault(MISSING_BRACE)
    if (!strict && !'-+?'.includes(modifier)) throw new SyntaxFault(unsupported)
    const word = this.#readRest('}', false, MISSING_BRACE)
    const value = this.#valueOf(name)
    const missing = value === undefined || (strict && value === '')
    switch (modifier) {
      case '-':
        return missing ? word : value
      case '+':
        return missing ? '' : word
      case '?':
        if (!missing) return value
        throw new SyntaxFault(`${name}: ${word || `is not allowed to be ${value === undefined ? 'unset' : 'empty'}`}`)
      default:
        throw new SyntaxFault(unsupported)
    }
  }
}
