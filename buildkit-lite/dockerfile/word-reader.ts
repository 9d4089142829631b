import { CollectedWords } from './collected-words.ts'
import { SyntaxFault } from './errors.ts'
import type { Expanded, ExpandOptions, Variables } from './expand.ts'
import { replaceMatches, trimMatch } from './expand-pattern.ts'
import { TextCursor } from './text-cursor.ts'

const MISSING_BRACE = "syntax error: missing '}'"
const MISSING_SLASH = "syntax error: missing '/' in ${}, expected ${NAME/PATTERN/REPLACEMENT}"
const MODIFIERS = ':- - :+ + :? ? # ## % %% / //'
/** `${a:-${b:-…}}`: deeper than anybody writes, and far from the end of our stack. */
const MAX_DEPTH = 250
/** What variables may add to a text. Linux passes 128 KiB in one variable to a program. */
const MAX_ADDED_CHARACTERS = 1024 * 1024
/** What needs no look: runs of it are taken at once. */
const PLAIN = /[^$'"\\`<}/]+/y

/** Reads one text from left to right. */
export class WordReader {
  readonly #cursor: TextCursor
  readonly #variables: Variables
  readonly #options: ExpandOptions
  readonly #limit: number
  readonly #used = new Set<string>()
  readonly #unset = new Set<string>()
  #quoted = false
  #depth = 0

  constructor(source: string, variables: Variables, options: ExpandOptions) {
    this.#cursor = new TextCursor(source)
    this.#variables = variables
    this.#options = options
    this.#limit = source.length + MAX_ADDED_CHARACTERS
  }

  read(): Expanded {
    const collected = this.#readUntil(null, this.#options.keep === 'everything')
    const { text } = collected
    const used = this.#used
    const unset = this.#unset
    return {
      text,
      used,
      unset,
      quoted: this.#quoted,
      get words() {
        return collected.words
      },
    }
  }

  /** Reads to the stop character, which is taken, or to the end; `keepEscapes` leaves escapes for a pattern reader. */
  #readUntil(stop: string | null, keepEscapes: boolean): CollectedWords {
    const collected = new CollectedWords()
    for (let next = this.#cursor.peek(); next !== ''; next = this.#cursor.peek()) {
      if (next === stop) {
        this.#cursor.skip()
        return collected
      }
      if (next === '$') collected.add(this.#readDollar(), true)
      else if (next === "'" && !this.#options.literalQuotes) collected.add(this.#readSingleQuoted(), false)
      else if (next === '"' && !this.#options.literalQuotes) collected.add(this.#readDoubleQuoted(keepEscapes), false)
      else if (next === this.#options.escape) collected.add(this.#readEscaped(keepEscapes), false)
      else if (next === '<') collected.add(this.#readLess(), false)
      else collected.add(this.#cursor.take(PLAIN) || this.#cursor.takeCharacter(), true)
      this.#refuseTooLong(collected.length)
    }
    if (stop !== null) throw new SyntaxFault(`unexpected end of statement while looking for matching ${stop}`)
    return collected
  }

  #refuseTooLong(length: number): void {
    if (length > this.#limit) throw new SyntaxFault(`the result is longer than ${this.#limit} characters`)
  }

  #readEscaped(keepEscapes: boolean): string {
    const escape = this.#cursor.takeCharacter()
    const escaped = this.#cursor.takeCharacter()
    // Lines of a here-document are joined here, all others before they are words.
    if (escaped === '\n' && this.#options.literalQuotes) return ''
    return keepEscapes ? escape + escaped : escaped
  }

  /** Blanks behind `<<` belong to its word: a here-document's name may stand apart. */
  #readLess(): string {
    return this.#cursor.take(/<<\s*|</uy)
  }

  #readSingleQuoted(): string {
    const start = this.#cursor.at
    this.#cursor.skip()
    const text = this.#cursor.takeTo("'")
    if (text !== null) return this.#inQuotes(start, text)
    throw new SyntaxFault('unexpected end of statement while looking for matching single-quote')
  }

  #readDoubleQuoted(keepEscapes: boolean): string {
    const start = this.#cursor.at
    this.#cursor.skip()
    const pieces: string[] = []
    for (let next = this.#cursor.peek(); next !== ''; next = this.#cursor.peek()) {
      if (next === '"') {
        this.#cursor.skip()
        return this.#inQuotes(start, pieces.join(''))
      }
      pieces.push(next === '$' ? this.#readDollar() : this.#readQuotedCharacters(keepEscapes))
    }
    throw new SyntaxFault('unexpected end of statement while looking for matching double-quote')
  }

  #inQuotes(start: number, inside: string): string {
    this.#quoted = true
    this.#refuseTooLong(inside.length)
    return this.#options.keep === 'everything' ? this.#cursor.since(start) : inside
  }

  /** In double quotes only the quote, the dollar and the escape itself can be escaped. */
  #readQuotedCharacters(keepEscapes: boolean): string {
    const { escape } = this.#options
    const character = this.#cursor.take(PLAIN) || this.#cursor.takeCharacter()
    if (character !== escape) return character
    const next = this.#cursor.peek()
    if (next !== '"' && next !== '$' && next !== escape) return keepEscapes ? escape + escape : escape
    this.#cursor.skip()
    return keepEscapes ? escape + next : next
  }

  #readDollar(): string {
    const start = this.#cursor.at
    this.#cursor.skip()
    if (this.#depth >= MAX_DEPTH) throw new SyntaxFault(`substitutions are nested more than ${MAX_DEPTH} deep`)
    this.#depth++
    const value = this.#cursor.peek() === '{' ? this.#readBraces() : this.#readBareName()
    this.#depth--
    return this.#options.keep ? this.#cursor.since(start) : value
  }

  #readBareName(): string {
    const name = this.#cursor.takeName()
    return name === '' ? '$' : (this.#valueOf(name) ?? '')
  }

  #valueOf(name: string): string | undefined {
    const value = this.#variables.get(name)
    if (value === undefined) this.#unset.add(name)
    else this.#used.add(name)
    return value
  }

  #readBraces(): string {
    this.#cursor.skip()
    const first = this.#cursor.peek()
    if (first === '') throw new SyntaxFault(MISSING_BRACE)
    if ('{}:'.includes(first)) throw new SyntaxFault('syntax error: bad substitution, expected a name behind ${')
    const name = this.#cursor.takeName()
    const modifier = this.#cursor.takeCharacter()
    if (modifier === '}') return this.#valueOf(name) ?? ''
    if (modifier === '/') return this.#readReplacement(name)
    if (modifier === '#' || modifier === '%') return this.#readTrim(name, modifier)
    const strict = modifier === ':'
    return this.#readAlternative(name, strict ? this.#cursor.takeCharacter() : modifier, strict)
  }

  /** The rest of `${name…}` up to the brace; any end of the text in it is a missing brace. */
  #readRest(stop: string, keepEscapes: boolean, missing: string): string {
    try {
      return this.#readUntil(stop, keepEscapes).text
    } catch (error) {
      if (error instanceof SyntaxFault && this.#cursor.peek() === '') throw new SyntaxFault(missing)
      throw error
    }
  }

  #readTrim(name: string, modifier: string): string {
    const word = this.#readRest('}', true, MISSING_BRACE)
    if (this.#options.keep) return ''
    const longest = word.startsWith(modifier)
    const value = this.#valueOf(name) ?? ''
    return trimMatch(value, longest ? word.slice(1) : word, { end: modifier === '%', longest })
  }

  #readReplacement(name: string): string {
    const all = this.#cursor.peek() === '/'
    if (all) this.#cursor.skip()
    const pattern = this.#readRest('/', true, MISSING_SLASH)
    const replacement = this.#readRest('}', true, MISSING_BRACE)
    if (this.#options.keep) return ''
    return replaceMatches(this.#valueOf(name) ?? '', pattern, { replacement, all, limit: this.#limit })
  }

  /** `-`, `+` and `?`; `strict` (a colon in front) treats an empty value as none. */
  #readAlternative(name: string, modifier: string, strict: boolean): string {
    const unsupported = `unsupported modifier (${strict ? ':' : ''}${modifier}) in substitution, expected one of ${MODIFIERS}`
    if (modifier === '') throw new SyntaxFault(MISSING_BRACE)
    if (!strict && !'-+?'.includes(modifier)) throw new SyntaxFault(unsupported)
    const word = this.#readRest('}', false, MISSING_BRACE)
    if (this.#options.keep) return ''
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
