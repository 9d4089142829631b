import { SyntaxFault } from './errors.ts'
import { quote } from './quote.ts'

const BLANKS = /[\t\v\f\r ]+/
/** What Go calls a space: without the byte order mark, with the next-line control. */
export const SPACE = /[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/u

/** Words between blanks; quotes mean nothing here. */
export function splitBlanks(text: string): string[] {
  return text === '' ? [] : text.split(BLANKS)
}

/** The text before and after its first run of blanks. */
export function cutAtBlank(text: string): [string, string] {
  const blank = BLANKS.exec(text)
  return blank ? [text.slice(0, blank.index), text.slice(blank.index + blank[0].length)] : [text, '']
}

/**
 * Words between blanks that are neither quoted nor escaped. Quotes and escapes stay in the words: they are removed
 * when variables are expanded.
 */
export function splitQuoted(text: string, escape: string): string[] {
  const words: string[] = []
  let start = -1
  let open = ''
  let at = 0
  for (; at < text.length; at++) {
    const plain = plainEnd(text, at)
    if (plain > at) {
      if (start < 0) start = at
      at = plain - 1
      continue
    }
    const character = text.charAt(at)
    if (open === '' && isSpace(character)) {
      if (start >= 0) words.push(text.slice(start, at))
      start = -1
      continue
    }
    // An escape that ends the text escapes nothing and goes away.
    if (character === escape && open !== "'" && at + 1 === text.length) break
    if (start < 0) start = at
    if (character === escape && open !== "'") at++
    else if (open === '' && (character === "'" || character === '"')) open = character
    else if (character === open) open = ''
  }
  if (start >= 0) words.push(text.slice(start, Math.min(at, text.length)))
  return words
}

/** What is neither a blank, nor a quote, nor an escape of any file. */
const PLAIN = /[^\s\u0085'"\\`]+/y

function plainEnd(text: string, at: number): number {
  PLAIN.lastIndex = at
  return PLAIN.test(text) ? PLAIN.lastIndex : at
}

function isSpace(character: string): boolean {
  const code = character.charCodeAt(0)
  return code < 0x80 ? code === 0x20 || (code >= 0x09 && code <= 0x0d) : SPACE.test(character)
}

/** `text` without these characters at its end. */
export function trimEndOf(text: string, characters: string): string {
  let end = text.length
  while (end > 0 && characters.includes(text.charAt(end - 1))) end--
  return end === text.length ? text : text.slice(0, end)
}

/** `--name[=value]` words in front of an instruction's arguments, unquoted, and the text behind them. */
export function takeFlags(text: string): { flags: string[]; rest: string } {
  const flags: string[] = []
  let rest = text.trimStart()
  while (rest.startsWith('--')) {
    const { word, length } = takeUnquoted(rest)
    rest = rest.slice(length)
    if (word === '--') break
    flags.push(word)
    rest = rest.trimStart()
  }
  return { flags, rest: rest.trim() }
}

/** The first word without its quotes and backslashes, and how much of the text it took. */
function takeUnquoted(text: string): { word: string; length: number } {
  let word = ''
  let open = ''
  let at = 0
  for (; at < text.length; at++) {
    const plain = plainEnd(text, at)
    word += text.slice(at, plain)
    at = plain
    const character = text.charAt(at)
    if (open === '' && (character === '' || isSpace(character))) break
    if (character === '\\') word += text.charAt(++at)
    else if (open === '' && (character === "'" || character === '"')) open = character
    else if (character === open) open = ''
    else word += character
  }
  return { word, length: Math.min(at, text.length) }
}

/** The strings of a JSON array; null where the text is no JSON array at all, which makes it the shell form. */
export function parseJsonStrings(text: string): string[] | null {
  return (
    parseJsonArray(text)?.map((item) => {
      if (typeof item === 'string') return item.toWellFormed()
      throw new SyntaxFault(
        `when using JSON array syntax, arrays must be comprised of strings only, got ${JSON.stringify(item).slice(0, 80)}`,
      )
    }) ?? null
  )
}

/** Whether the text is in JSON form, where `<<` means nothing. */
export function isJsonArray(text: string): boolean {
  return parseJsonArray(text) !== null
}

function parseJsonArray(text: string): unknown[] | null {
  if (!text.startsWith('[')) return null
  try {
    const parsed: unknown = JSON.parse(text)
    return Array.isArray(parsed) ? parsed : null
  } catch {
    return null
  }
}

export interface NameValue {
  name: string
  value: string
}

/** `name=value …`, or the old form `name rest of the line`, of ENV and LABEL. */
export function parseNameValues(
  keyword: string,
  text: string,
  escape: string,
): { pairs: NameValue[]; legacy: boolean } {
  const words = splitQuoted(text, escape)
  const first = words[0]
  if (first === undefined) throw new SyntaxFault(`${keyword} requires at least one argument`)
  if (!first.includes('=')) {
    const [name, value] = cutAtBlank(text)
    if (value === '') throw new SyntaxFault(`${keyword} must have two arguments`)
    return { pairs: [{ name, value }], legacy: true }
  }
  const pairs = words.map((word) => {
    const equals = word.indexOf('=')
    if (equals < 0) {
      const missing = `Syntax error - can't find = in ${quote(word)}. Must be of the form: name=value`
      throw new SyntaxFault(missing)
    }
    if (equals === 0) throw new SyntaxFault(`${keyword} names can not be blank`)
    return { name: word.slice(0, equals), value: word.slice(equals + 1) }
  })
  return { pairs, legacy: false }
}
