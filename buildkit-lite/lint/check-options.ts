import { SyntaxFault } from '../dockerfile/errors.ts'
import { quote } from '../dockerfile/quote.ts'
import type { Rule } from './rules.ts'

/** What `# check=` says: which rules are silent, which experimental ones are not, and whether a warning is an error. */
export interface CheckOptions {
  skip: ReadonlySet<string> | 'all'
  experimental: ReadonlySet<string> | 'all'
  error: boolean
}

export const NO_OPTIONS: CheckOptions = { skip: new Set(), experimental: new Set(), error: false }

/** Reads `skip=A,B;error=true;experimental=C`; a mistake is a `SyntaxFault`. */
export function parseCheckOptions(text: string): CheckOptions {
  const options: CheckOptions = { ...NO_OPTIONS }
  if (text.trim() === '') return options
  for (const part of text.split(';')) {
    const equals = part.indexOf('=')
    if (equals < 0) throw invalid(`invalid check option ${quote(part)}`)
    const key = part.slice(0, equals).trim()
    const value = part.slice(equals + 1).trim()
    if (key === 'skip') options.skip = readNames(value)
    else if (key === 'experimental') options.experimental = readNames(value)
    else if (key === 'error') options.error = readBoolean(part, value)
    else throw invalid(`invalid check option ${quote(key)}`)
  }
  return options
}

/** Whether the rule speaks under all of these options: those of the file and those above an instruction. */
export function isEnabled(rule: Rule, options: readonly CheckOptions[]): boolean {
  return rule.experimental
    ? options.some(({ experimental }) => names(experimental, rule))
    : !options.some(({ skip }) => names(skip, rule))
}

function names(set: ReadonlySet<string> | 'all', rule: Rule): boolean {
  return set === 'all' || set.has(rule.name)
}

function readNames(value: string): ReadonlySet<string> | 'all' {
  return value === 'all' ? 'all' : new Set(value.split(',').map((name) => name.trim()))
}

const TRUE = ['1', 't', 'T', 'TRUE', 'true', 'True']
const FALSE = ['0', 'f', 'F', 'FALSE', 'false', 'False']

function readBoolean(part: string, value: string): boolean {
  if (!TRUE.includes(value) && !FALSE.includes(value)) {
    throw invalid(`failed to parse check option ${quote(part)}: expected true or false, got ${quote(value)}`)
  }
  return TRUE.includes(value)
}

function invalid(message: string): SyntaxFault {
  return new SyntaxFault(`failed to parse check options: ${message}`)
}

const CHECK_COMMENT = /^check\s*=\s*(\S+)/i

/** The options in the comments above one instruction, as far as they can be read; others are only comments. */
export function optionsAbove(comments: readonly string[]): CheckOptions {
  const text = comments.map((comment) => CHECK_COMMENT.exec(comment)?.[1]).find((value) => value !== undefined)
  if (text === undefined) return NO_OPTIONS
  try {
    return parseCheckOptions(text)
  } catch (error) {
    if (error instanceof SyntaxFault) return NO_OPTIONS
    throw error
  }
}
