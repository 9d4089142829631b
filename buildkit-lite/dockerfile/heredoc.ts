import { expand } from './expand.ts'
import { splitQuoted } from './words.ts'

/** What `<<WORD` announces. */
export interface HeredocMark {
  name: string
  /** `<<-`: leading tabs are stripped. */
  chomp: boolean
  /** Whether variables in the body are expanded: nothing of WORD was quoted. */
  expands: boolean
}

/** A here-document with its body; tabs are still in it. */
export interface Heredoc extends HeredocMark {
  content: string
}

const NO_VARIABLES = new Map<string, string>()
const MARK = /^\d*<<(-?)([^<]*)$/

/** Reads one word as `[fd]<<[-]WORD`; null where it is none. */
export function parseHeredocMark(word: string): HeredocMark | null {
  const match = MARK.exec(word)
  const name = match?.[2] ?? ''
  if (!match || name === '') return null
  const unquoted = name.replace(/^\s+/, '')
  const { words, text } = expand(maskDollars(unquoted), NO_VARIABLES, { escape: '\\' })
  if (words.length !== 1) return null
  return { name: text, chomp: match[1] === '-', expands: text === unquoted }
}

/** The here-documents that a line announces, from left to right. `spaced` lets a blank stand before WORD, as in RUN. */
export function findHeredocs(line: string, spaced: boolean): HeredocMark[] {
  if (!hasClosedQuotes(line)) return []
  const words = splitQuoted(line, '\\')
  const marks: HeredocMark[] = []
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? ''
    const open = spaced && /^\d*<<-?$/.test(word)
    const mark = parseHeredocMark(open ? word + (words[++at] ?? '') : word)
    if (mark) marks.push(mark)
  }
  return marks
}

/** The body as a file: `<<-` loses the leading tabs of each line. */
export function heredocBody(heredoc: Heredoc): string {
  return heredoc.chomp ? heredoc.content.replace(/^\t+/gm, '') : heredoc.content
}

/** Dollars in a delimiter are ordinary characters. */
function maskDollars(name: string): string {
  return name.replaceAll('$', '\\$')
}

function hasClosedQuotes(line: string): boolean {
  let open = ''
  for (let at = 0; at < line.length; at++) {
    const character = line.charAt(at)
    if (character === '\\' && open !== "'") at++
    else if (open === '' && (character === "'" || character === '"')) open = character
    else if (character === open) open = ''
  }
  return open === ''
}
