import { SyntaxFault } from './errors.ts'
import { quote } from './quote.ts'
import { WordReader } from './word-reader.ts'

/** Variables by name; only `get` is used. */
export type Variables = Pick<ReadonlyMap<string, string>, 'get'>

export interface ExpandOptions {
  /** The escape character of the Dockerfile: `\` or a backquote. */
  escape: string
  /** Quotes are ordinary characters, as in the body of a COPY heredoc. */
  literalQuotes?: boolean
  /**
   * What stays as written: variables (there are none yet), or everything, quotes and escapes too, where only the words
   * are to be told apart.
   */
  keep?: 'variables' | 'everything'
}

export interface Expanded {
  readonly text: string
  /** The text split at blanks that were neither quoted nor escaped. */
  readonly words: readonly string[]
  /** Names that had a value. */
  readonly used: ReadonlySet<string>
  /** Names that had no value. */
  readonly unset: ReadonlySet<string>
  /** Whether anything was in quotes. */
  readonly quoted: boolean
}

/** What messages show of a text that cannot be expanded: a body may be as long as a file. */
const SHOWN_CHARACTERS = 500

/** Expands variables and removes quotes and escapes. A mistake is a `SyntaxFault`. */
export function expand(source: string, variables: Variables, options: ExpandOptions): Expanded {
  try {
    return new WordReader(source, variables, options).read()
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error
    const shown = source.length > SHOWN_CHARACTERS ? `${source.slice(0, SHOWN_CHARACTERS)}…` : source
    throw new SyntaxFault(`failed to process ${quote(shown)}: ${error.message}`)
  }
}
