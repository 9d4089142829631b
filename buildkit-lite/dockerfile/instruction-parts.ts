import type { Heredoc } from './heredoc.ts'
import type { CommandLine } from './instruction.ts'
import { parseJsonStrings } from './words.ts'

/** An instruction cut into its parts, before its own grammar. */
export interface InstructionParts {
  /** In capitals. */
  keyword: string
  /** The keyword as it was written. */
  written: string
  flags: readonly string[]
  rest: string
  heredocs: readonly Heredoc[]
  escape: string
}

/** Exec form where the text is a JSON array of strings, else shell form. */
export function readCommandLine(text: string): CommandLine {
  const args = parseJsonStrings(text)
  return args ? { form: 'exec', args } : { form: 'shell', text }
}
