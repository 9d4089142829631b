import { CollectedWords } from './collected-words.ts'
import { SyntaxFault } from './errors.ts'
import type { Expanded, ExpandOptions, Variables } from './expand.ts'
import { replaceMatches, trimMatch } from './expand-pattern.ts'

const MISSING_BRACE = "syntax error: missing '}'"
const MISSING_SLASH = "syntax error: missing '/' in ${}, expected ${NAME/PATTERN/REPLACEMENT}"
const MODIFIERS = ':- - :+ + :? ? # ## % %% / //'
/** `${a:-${b:-…}}`: deeper than anybody writes, and far from the end of our stack. */
const MAX_DEPTH = 250
/** What variables may add to a text. Linux passes 128 KiB in one variable to a program. */
const MAX_ADDED_CHARACTERS = 1024 * 1024
/** Names as nearly all are, without the large tables of Unicode. */
const ASCII_NAME = /\d+|[@*#?\-$!]|[A-Za-z_]\w*/y
const NAME = /\p{Nd}+|[@*#?\-$!]|[\p{L}_][\p{L}\p{Nd}_]*/uy
/** What needs no look: runs of it are taken at once. */
const PLAIN = /[^$'"\\`<}/]+/y

/** Reads one text from left to right. */
export class WordReader {
  readonly #source: string
  readonly #variables: Variables
  readonly #options: ExpandOptions
  readonly #limit: number
  readonly #used = new Set<string>()
  readonly #unset = new Set<string>()
  #quoted = false
  #depth = 0
  #at = 0

  constructor(source: string, variables: Variables, options: ExpandOptions) {
    this.#source = source
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
    for (let next = this.#peek(); next !== ''; next = this.#peek()) {
      if (next === stop) {
        this.#at++
        return collected
      }
      if (next === '$') collected.add(this.#readDollar(), true)
      else if (next === "'" && !this.#options.literalQuotes) collected.add(this.#readSingleQuoted(), false)
      else if (next === '"' && !this.#options.literalQuotes) collected.add(this.#readDoubleQuoted(keepEscapes), false)
      else if (next === this.#options.escape) collected.add(this.#readEscaped(keepEscapes), false)
      else if (next === '<') collected.add(this.#readLess(), false)
      else collected.add(this.#take(PLAIN) || this.#takeCharacter(), true)
      this.#refuseTooLong(collected.length)
    }
    if (stop !== null) throw new SyntaxFault(`unexpected end of statement while looking for matching ${stop}`)
    return collected
  }

  #refuseTooLong(length: number): void {
    if (length > this.#limit) throw new SyntaxFault(`the result is longer than ${this.#limit} characters`)
  }

  /** The next code unit, empty at the end. All characters with a meaning are one code unit. */
  #peek(): string {
    return this.#source.charAt(this.#at)
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at
    const text = pattern.exec(this.#source)?.[0] ?? ''
    this.#at += text.length
    return text
  }

  #takeName(): string {
    const start = this.#at
    const name = this.#take(ASCII_NAME)
    // Nothing but a letter or a digit of another script can make it longer.
    if (!(this.#source.charCodeAt(this.#at) >= 0x80)) return name
    this.#at = start
    return this.#take(NAME)
  }

  #takeCharacter(): string {
    const code = this.#source.codePointAt(this.#at)
    const character = code === undefined ? '' : String.fromCodePoint(code)
    this.#at += character.length
    return character
  }

  #readEscaped(keepEscapes: boolean): string {
    const escape = this.#takeCharacter()
    const escaped = this.#takeCharacter()
    // Lines of a here-document are joined here, all others before they are words.
    if (escaped === '\n' && this.#options.literalQuotes) return ''
    return keepEscapes ? escape + escaped : escaped
  }

  /** Blanks behind `<<` belong to its word: a here-document's name may stand apart. */
  #readLess(): string {
    return this.#take(/<<\s*|</uy)
  }

  #readSingleQuoted(): string {
    const start = this.#at
    const end = this.#source.indexOf("'", start + 1)
    if (end < 0) {
      this.#at = this.#source.length
      throw new SyntaxFault('unexpected end of statement while looking for matching single-quote')
    }
    this.#at = end + 1
    return this.#inQuotes(start, this.#source.slice(start + 1, end))
  }

  #readDoubleQuoted(keepEscapes: boolean): string {
    const start = this.#at++
    const pieces: string[] = []
    for (let next = this.#peek(); next !== ''; next = this.#peek()) {
      if (next === '"') {
        this.#at++
        return this.#inQuotes(start, pieces.join(''))
      }
      pieces.push(next === '$' ? this.#readDollar() : this.#readQuotedCharacters(keepEscapes))
    }
    throw new SyntaxFault('unexpected end of statement while looking for matching double-quote')
  }

  #inQuotes(start: number, inside: string): string {
    this.#quoted = true
    this.#refuseTooLong(inside.length)
    return this.#options.keep === 'everything' ? this.#source.slice(start, this.#at) : inside
  }

  /** In double quotes only the quote, the dollar and the escape itself can be escaped. */
  #readQuotedCharacters(keepEscapes: boolean): string {
    const { escape } = this.#options
    const character = this.#take(PLAIN) || this.#takeCharacter()
    if (character !== escape) return character
    const next = this.#peek()
    if (next !== '"' && next !== '$' && next !== escape) return keepEscapes ? escape + escape : escape
    this.#at++
    return keepEscapes ? escape + next : next
  }

  #readDollar(): string {
    const start = this.#at++
    if (this.#depth >= MAX_DEPTH) throw new SyntaxFault(`substitutions are nested more than ${MAX_DEPTH} deep`)
    this.#depth++
    const value = this.#peek() === '{' ? this.#readBraces() : this.#readBareName()
    this.#depth--
    return this.#options.keep ? this.#source.slice(start, this.#at) : value
  }

  #readBareName(): string {
    const name = this.#takeName()
    return name === '' ? '$' : (this.#valueOf(name) ?? '')
  }

  #valueOf(name: string): string | undefined {
    const value = this.#variables.get(name)
    if (value === undefined) this.#unset.add(name)
    else this.#used.add(name)
    return value
  }

  #readBraces(): string {
    this.#at++
    const first = this.#peek()
    if (first === '') throw new SyntaxFault(MISSING_BRACE)
    if ('{}:'.includes(first)) throw new SyntaxFault('syntax error: bad substitution, expected a name behind ${')
    const name = this.#takeName()
    const modifier = this.#takeCharacter()
    if (modifier === '}') return this.#valueOf(name) ?? ''
    if (modifier === '/') return this.#readReplacement(name)
    if (modifier === '#' || modifier === '%') return this.#readTrim(name, modifier)
    const strict = modifier === ':'
    return this.#readAlternative(name, strict ? this.#takeCharacter() : modifier, strict)
  }

  /** The rest of `${name…}` up to the brace; any end of the text in it is a missing brace. */
  #readRest(stop: string, keepEscapes: boolean, missing: string): string {
    try {
      return this.#readUntil(stop, keepEscapes).text
    } catch (error) {
      if (error instanceof SyntaxFault && this.#peek() === '') throw new SyntaxFault(missing)
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
    const all = this.#peek() === '/'
    if (all) this.#at++
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
