import { SyntaxFault } from './errors.ts'
import { type Expanded, type ExpandOptions, expand } from './expand.ts'

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
/** A name that no reading changes. */
const SIMPLE = /^[\w.-]+$/
const MARK = /^\d*<<(-?)\s*([^<]*)$/

/** Reads one word as `[fd]<<[-]WORD`; null where it is none. The escape is a backslash whatever the file says. */
export function parseHeredocMark(word: string): HeredocMark | null {
  const match = MARK.exec(word)
  const name = match?.[2] ?? ''
  if (!match || name === '') return null
  if (SIMPLE.test(name)) return { name, chomp: match[1] === '-', expands: true }
  const read = readWords(name, { escape: '\\', keep: 'variables' })
  const [only] = read?.words ?? []
  if (!read || only === undefined || read.words.length !== 1) return null
  return { name: only, chomp: match[1] === '-', expands: !read.quoted }
}

/** The here-documents that a line announces, from left to right. A line that is no shell text announces none. */
export function findHeredocs(line: string): HeredocMark[] {
  const words = readWords(line, { escape: '\\', keep: 'everything' })?.words ?? []
  return words.map(parseHeredocMark).filter((mark) => mark !== null)
}

function readWords(text: string, options: ExpandOptions): Expanded | null {
  try {
    return expand(text, NO_VARIABLES, options)
  } catch (error) {
    if (error instanceof SyntaxFault) return null
    throw error
  }
}

/** The body as a file: `<<-` loses the leading tabs of each line. */
export function heredocBody(heredoc: Heredoc): string {
  return heredoc.chomp ? heredoc.content.replace(/^\t+/gm, '') : heredoc.content
}
