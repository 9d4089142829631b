import { SyntaxFault } from './errors.ts'
import { refuseFlags } from './flags.ts'
import type { Instruction } from './instruction.ts'
import type { InstructionParts } from './instruction-parts.ts'
import { cutAtBlank, parseJsonStrings, parseNameValues, takeFlags } from './words.ts'

/** ONBUILD keeps a text: most of what is wrong with it shows when it fires. */
export function readOnbuild(parts: InstructionParts): Instruction {
  const { rest, heredocs, escape } = parts
  const [word, behind] = cutAtBlank(rest)
  const inner = word.toUpperCase()
  if (inner === '') throw new SyntaxFault('ONBUILD requires at least one argument, the instruction to run later')
  refuseFlags(parts.flags)
  if (inner === 'ONBUILD') throw new SyntaxFault("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
  if (inner === 'FROM' || inner === 'MAINTAINER') {
    throw new SyntaxFault(`${inner} isn't allowed as an ONBUILD trigger`)
  }
  checkWords(inner, takeFlags(behind).rest, escape)
  const bodies = heredocs.map((heredoc) => `\n${heredoc.content}${heredoc.name}`)
  return { kind: 'ONBUILD', trigger: rest + bodies.join('') }
}

const JSON_FORMS = ['RUN', 'CMD', 'ENTRYPOINT', 'SHELL', 'COPY', 'ADD', 'VOLUME']

/** Pairs and JSON forms are cut into words at once. */
function checkWords(inner: string, rest: string, escape: string): void {
  if ((inner === 'ENV' || inner === 'LABEL') && rest !== '') parseNameValues(inner, rest, escape)
  if (JSON_FORMS.includes(inner)) parseJsonStrings(rest)
}
