import { SyntaxFault } from './errors.ts'
import { quote } from './quote.ts'

const BLANKS = /[\t\v\f\r ]+/
const SPACE = /\s/u

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
  const characters = Array.from(text)
  let word = ''
  let started = false
  let open = ''
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at] ?? ''
    if (open === '' && SPACE.test(character)) {
      if (started) words.push(word)
      word = ''
      started = false
      continue
    }
    if (character === escape && open !== "'") {
      const escaped = characters[++at]
      // An escape that ends the text escapes nothing and goes away.
      if (escaped === undefined) break
      word += character + escaped
      started = true
      continue
    }
    if (open === '' && (character === "'" || character === '"')) open = character
    else if (character === open) open = ''
    word += character
    started = true
  }
  if (started) words.push(word)
  return words
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
    const character = text.charAt(at)
    if (open === '' && SPACE.test(character)) break
    if (character === '\\') word += text.charAt(++at)
    else if (open === '' && (character === "'" || character === '"')) open = character
    else if (character === open) open = ''
    else word += character
  }
  return { word, length: at }
}

/** The strings of a JSON array; null where the text is no JSON array at all, which makes it the shell form. */
export function parseJsonStrings(text: string): string[] | null {
  if (!text.startsWith('[')) return null
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return null
  }
  if (!Array.isArray(parsed)) return null
  return parsed.map((item: unknown) => {
    if (typeof item === 'string') return item
    throw new SyntaxFault('when using JSON array syntax, arrays must be comprised of strings only')
  })
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
