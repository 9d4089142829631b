import { SyntaxFault, suggest } from './errors.ts'
import { Flags, refuseFlags } from './flags.ts'
import { readHealthcheck } from './healthcheck.ts'
import type { Instruction } from './instruction.ts'
import { type InstructionParts, readCommandLine } from './instruction-parts.ts'
import { readCopy } from './read-copy.ts'
import { readOnbuild } from './read-onbuild.ts'
import { readRun } from './read-run.ts'
import { parseJsonStrings, parseNameValues, splitBlanks, splitQuoted } from './words.ts'

const KEYWORDS = [
  'ADD',
  'ARG',
  'CMD',
  'COPY',
  'ENTRYPOINT',
  'ENV',
  'EXPOSE',
  'FROM',
  'HEALTHCHECK',
  'LABEL',
  'MAINTAINER',
  'ONBUILD',
  'RUN',
  'SHELL',
  'STOPSIGNAL',
  'USER',
  'VOLUME',
  'WORKDIR',
] as const

/** Reads the grammar of one instruction; a mistake is a `SyntaxFault`. */
export function readInstruction(parts: InstructionParts): Instruction {
  const { keyword, rest, escape } = parts
  switch (keyword) {
    case 'ADD':
    case 'COPY':
      return readCopy(keyword, parts)
    case 'RUN':
      return readRun(parts)
    case 'FROM':
      return readFrom(parts)
    case 'ARG':
      return readArg(parts)
    case 'ENV':
    case 'LABEL':
      refuseFlags(parts.flags)
      return { kind: keyword, ...parseNameValues(keyword, rest, escape) }
    case 'CMD':
    case 'ENTRYPOINT':
      refuseFlags(parts.flags)
      return { kind: keyword, command: readCommandLine(rest) }
    case 'EXPOSE':
    case 'VOLUME':
      return readWords(keyword, parts)
    case 'WORKDIR':
    case 'USER':
    case 'STOPSIGNAL':
    case 'MAINTAINER':
      return readValue(keyword, parts)
    case 'SHELL':
      return readShell(parts)
    case 'HEALTHCHECK':
      return readHealthcheck(parts)
    case 'ONBUILD':
      return readOnbuild(parts)
    default:
      throw new SyntaxFault(unknown(parts.written))
  }
}

/** A near word is written as its user writes, and without one all of them are named. */
function unknown(written: string): string {
  const isSmall = written === written.toLowerCase()
  const near = suggest(written, isSmall ? KEYWORDS.map((keyword) => keyword.toLowerCase()) : KEYWORDS)
  return `unknown instruction: ${written}${near || `, expected one of ${KEYWORDS.join(', ')}`}`
}

const STAGE_NAME = /^[a-z][a-z0-9\-_.]*$/

function readFrom(parts: InstructionParts): Instruction {
  const words = splitBlanks(parts.rest)
  const [image = '', as = '', name = ''] = words
  const named = words.length === 3 && as.toLowerCase() === 'as'
  if (words.length !== 1 && !named) {
    throw new SyntaxFault(
      `FROM requires either one or three arguments: FROM IMAGE or FROM IMAGE AS NAME, got ${words.join(' ') || 'none'}`,
    )
  }
  if (named && !STAGE_NAME.test(name.toLowerCase())) {
    throw new SyntaxFault(`invalid name for build stage: "${name}", name can't start with a number or contain symbols`)
  }
  const flags = new Flags(parts.flags, { platform: 'text' })
  return {
    kind: 'FROM',
    image,
    name: named ? name.toLowerCase() : null,
    platform: flags.text('platform'),
    written: named ? { as, name } : null,
  }
}

function readArg(parts: InstructionParts): Instruction {
  refuseFlags(parts.flags)
  const words = splitQuoted(parts.rest, parts.escape)
  if (words.length === 0) throw new SyntaxFault('ARG requires at least one argument')
  const args = words.map((word) => {
    const equals = word.indexOf('=')
    if (equals === 0) throw new SyntaxFault('ARG names can not be blank')
    return equals < 0 ? { name: word, value: null } : { name: word.slice(0, equals), value: word.slice(equals + 1) }
  })
  return { kind: 'ARG', args }
}

function readWords(keyword: 'EXPOSE' | 'VOLUME', parts: InstructionParts): Instruction {
  refuseFlags(parts.flags)
  const words = (keyword === 'VOLUME' ? parseJsonStrings(parts.rest) : null) ?? splitBlanks(parts.rest)
  if (words.length === 0) throw new SyntaxFault(`${keyword} requires at least one argument`)
  if (keyword === 'EXPOSE') return { kind: keyword, words: words.toSorted(byCodeUnit) }
  const volumes = words.map((word) => word.trim())
  if (volumes.includes('')) throw new SyntaxFault('VOLUME specified can not be an empty string')
  return { kind: keyword, words: volumes }
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function readValue(keyword: 'WORKDIR' | 'USER' | 'STOPSIGNAL' | 'MAINTAINER', parts: InstructionParts): Instruction {
  refuseFlags(parts.flags)
  if (parts.rest === '') throw new SyntaxFault(`${keyword} requires exactly one argument`)
  return { kind: keyword, value: parts.rest }
}

function readShell(parts: InstructionParts): Instruction {
  refuseFlags(parts.flags)
  const args = parseJsonStrings(parts.rest)
  if (parts.rest === '' || args?.length === 0) throw new SyntaxFault('SHELL requires at least one argument')
  if (!args) throw new SyntaxFault('SHELL requires the arguments to be in JSON form, as in SHELL ["/bin/sh", "-c"]')
  return { kind: 'SHELL', args }
}
