import { posix } from 'node:path'
import type { IgnoreMatcher } from '../context/ignore.ts'
import { closestWord, type LineRange } from '../dockerfile/errors.ts'
import type { CommandLine, CopyInstruction, PlacedInstruction } from '../dockerfile/instruction.ts'
import { quote } from '../dockerfile/quote.ts'
import type { NameValue } from '../dockerfile/words.ts'
import type { Report } from './report.ts'

/** What planning knows where an instruction stands. */
export interface Standing {
  /** The shell that SHELL or the base image has set. */
  shell: readonly string[] | null | undefined
  /** Words as the instruction gets them; what they report has been reported. */
  expand: (text: string) => { text: string; words: readonly string[] }
}

/** The variables that a word may use. */
export interface Known {
  /** Those with a value. */
  variables: Pick<ReadonlyMap<string, string>, 'get' | 'keys'>
  /** ARGs in scope, also those without a value. */
  args: readonly { name: string }[]
}

/** Arguments for the builder itself, which no instruction need declare. */
const BUILDER_ARGS = ['BUILDKIT_SBOM_SCAN_CONTEXT', 'BUILDKIT_SBOM_SCAN_STAGE']

/** Each hint compares a name with all others: whoever has more names wrong sees what is wrong. */
const MAX_HINTS = 100

/** The rules that one stage's instructions break one after the other. */
export class StageLint {
  readonly #report: Report
  readonly #ignore: IgnoreMatcher | null
  readonly #earlier = new Map<string, PlacedInstruction>()
  #hasWorkdir: boolean
  #hints = 0

  /** `base` is the stage this one is built from. */
  constructor(report: Report, ignore: IgnoreMatcher | null, base: StageLint | null) {
    this.#report = report
    this.#ignore = ignore
    this.#hasWorkdir = base !== null && base.#hasWorkdir
  }

  /** Names of one expanded word that had no value. */
  unset(names: Iterable<string>, placed: PlacedInstruction, { variables, args }: Known): void {
    for (const name of names) {
      if (BUILDER_ARGS.includes(name) || args.some((arg) => arg.name === name)) continue
      const close = this.#hints++ < MAX_HINTS ? closestWord(name, variables.keys()) : null
      const hint = close === null ? '' : ` (did you mean $${close}?)`
      this.#report('UndefinedVar', `Usage of undefined variable '$${name}'${hint}`, placed)
    }
  }

  /** One instruction that was planned without a mistake. */
  instruction(placed: PlacedInstruction, standing: Standing): void {
    const { instruction } = placed
    switch (instruction.kind) {
      case 'CMD':
      case 'ENTRYPOINT':
        this.#once(placed)
        return this.#lintCommand(placed, instruction.command, standing)
      case 'HEALTHCHECK':
        return this.#once(placed)
      case 'ENV':
        return this.#lintPairs(placed, instruction, standing)
      case 'LABEL':
        return this.#lintLegacy(placed, instruction)
      case 'ARG':
        return this.#lintSecrets(
          placed,
          'ARG',
          instruction.args.map(({ name }) => name),
        )
      case 'WORKDIR':
        return this.#lintWorkdir(placed, standing.expand(instruction.value).text)
      case 'EXPOSE':
        return this.#lintPorts(
          placed,
          instruction.words.flatMap((word) => standing.expand(word).words),
        )
      case 'COPY':
      case 'ADD':
        return this.#lintSources(placed, instruction, standing)
      case 'FROM':
      case 'MAINTAINER':
      case 'ONBUILD':
      case 'RUN':
      case 'SHELL':
      case 'STOPSIGNAL':
      case 'USER':
      case 'VOLUME':
        return
      default:
        instruction satisfies never
    }
  }

  /** Only the last one counts, so the one before is the one to complain of. */
  #once(placed: PlacedInstruction): void {
    const { kind } = placed.instruction
    const before = this.#earlier.get(kind)
    if (before) {
      const message = `Multiple ${placed.keyword} instructions should not be used in the same stage because only the last one will be used`
      this.#report('MultipleInstructionsDisallowed', message, placeOf(before, placed))
    }
    this.#earlier.set(kind, placed)
  }

  #lintCommand(placed: PlacedInstruction, command: CommandLine, { shell }: Standing): void {
    if (command.form === 'exec' || shell?.length) return
    const message = `JSON arguments recommended for ${placed.keyword} to prevent unintended behavior related to OS signals`
    this.#report('JSONArgsRecommended', message, placed)
  }

  #lintPairs(
    placed: PlacedInstruction,
    instruction: { pairs: readonly NameValue[]; legacy: boolean },
    { expand }: Standing,
  ): void {
    this.#lintLegacy(placed, instruction)
    const names = instruction.pairs.map(({ name }) => expand(name).text)
    this.#lintSecrets(placed, 'ENV', names)
  }

  #lintLegacy(placed: PlacedInstruction, { legacy }: { legacy: boolean }): void {
    if (!legacy) return
    const { keyword } = placed
    const message = `"${keyword} key=value" should be used instead of legacy "${keyword} key value" format`
    this.#report('LegacyKeyValueFormat', message, placed)
  }

  #lintSecrets(placed: PlacedInstruction, kind: 'ARG' | 'ENV', names: readonly string[]): void {
    for (const name of names) {
      if (!SECRET_NAME.test(name) || HARMLESS_NAME.test(name)) continue
      const message = `Do not use ARG or ENV instructions for sensitive data (${kind} ${quote(name)})`
      this.#report('SecretsUsedInArgOrEnv', message, placed)
    }
  }

  /** The first one of a stage says where all later ones start from. */
  #lintWorkdir(placed: PlacedInstruction, path: string): void {
    if (!this.#hasWorkdir && !path.startsWith('/')) {
      const message = `Relative workdir ${quote(path)} can have unexpected results if the base image changes`
      this.#report('WorkdirRelativePath', message, placed)
    }
    this.#hasWorkdir = true
  }

  #lintPorts(placed: PlacedInstruction, ports: readonly string[]): void {
    for (const port of ports) {
      const [address = '', protocol = ''] = port.split(/\/(?=[^/]*$)/)
      if (protocol !== protocol.toLowerCase()) {
        const message = `Defined protocol '${port}' in EXPOSE instruction should be lowercase`
        this.#report('ExposeProtoCasing', message, placed)
      }
      if (address.includes(':')) {
        const message = `EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`
        this.#report('ExposeInvalidFormat', message, placed)
      }
    }
  }

  /** What is taken back with `!` can only be told from the files, so such ignore files are left alone. */
  #lintSources(placed: PlacedInstruction, { kind, from, sources }: CopyInstruction, { expand }: Standing): void {
    const ignore = this.#ignore
    if (from !== null || !ignore || ignore.hasExceptions) return
    for (const source of sources) {
      const written = expand(source).text
      if (REMOTE.test(written)) continue
      const path = posix.normalize(written).replace(/(?<=.)\/$/, '')
      const isRoot = path === '.' || path === '/'
      if (isRoot ? !ignore.hidesAll : !ignore.ignores(path.replace(/^\//, ''))) continue
      const verb = kind === 'ADD' ? 'Add' : 'Copy'
      const message = `Attempting to ${verb} file ${quote(path)} that is excluded by .dockerignore`
      this.#report('CopyIgnoredFile', message, placed)
    }
  }
}

function placeOf({ first, last }: LineRange, { comments }: PlacedInstruction) {
  return { first, last, comments }
}

/** Whole words of a name, between underscores. */
const SECRET_NAME = /(?:_|^)(?:apikey|auth|credentials?|key|passw(?:or)?d|pword|secret|token)(?:_|$)/i
const HARMLESS_NAME = /(?:_|^)(?:public|file|version)(?:_|$)/i

const REMOTE = /^(?:https?:\/\/|git:\/\/|ssh:\/\/|git@)/i
