import { formatDuration } from '../dockerfile/duration.ts'
import { SyntaxFault } from '../dockerfile/errors.ts'
import type { CommandLine, HealthcheckInstruction, Instruction } from '../dockerfile/instruction.ts'
import { quoteList } from '../dockerfile/quote.ts'
import { parsePorts } from './ports.ts'
import { addHistory, type StageState, setImageVariable } from './stage-state.ts'
import { checkStopSignal } from './stop-signal.ts'

/** How an instruction's words become values, in the environment before it. */
export interface Expander {
  word: (text: string) => string
  words: (text: string) => readonly string[]
}

/** Instructions that change only the image's config. */
export type MetadataInstruction = Exclude<Instruction, { kind: 'FROM' | 'ARG' | 'RUN' | 'COPY' | 'ADD' | 'WORKDIR' }>

/** Applies an instruction that makes no files. */
export function applyMetadata(state: StageState, instruction: MetadataInstruction, expander: Expander): void {
  const { config } = state
  const done = (text: string) => addHistory(state, text, null)
  switch (instruction.kind) {
    case 'ENV':
    case 'LABEL':
      return done(applyPairs(state, instruction, expander))
    case 'CMD':
    case 'ENTRYPOINT':
      return done(applyCommand(state, instruction))
    case 'SHELL':
      config.Shell = [...instruction.args]
      return done(`SHELL [${instruction.args.join(' ')}]`)
    case 'USER':
      return done(applyUser(state, expander.word(instruction.value)))
    case 'MAINTAINER':
      state.image.author = instruction.value
      return done(`MAINTAINER ${instruction.value}`)
    case 'STOPSIGNAL':
      config.StopSignal = expander.word(instruction.value)
      checkStopSignal(config.StopSignal)
      return done(`STOPSIGNAL ${config.StopSignal}`)
    case 'EXPOSE':
      return done(applyPorts(state, instruction.words, expander))
    case 'VOLUME':
      return done(applyVolumes(state, instruction.words, expander))
    case 'HEALTHCHECK':
      return done(applyHealthcheck(state, instruction))
    case 'ONBUILD':
      config.OnBuild = [...(config.OnBuild ?? []), instruction.trigger]
      return
    default:
      instruction satisfies never
  }
}

/** The program a command line starts; the shell in front of a text. */
export function commandArgs(state: StageState, command: CommandLine): string[] {
  return command.form === 'exec' ? [...command.args] : [...shellOf(state), command.text]
}

/** The shell of the stage: SHELL's, or the base image's, or sh. */
export function shellOf(state: StageState): readonly string[] {
  return state.config.Shell?.length ? state.config.Shell : ['/bin/sh', '-c']
}

function applyPairs(
  state: StageState,
  instruction: Extract<Instruction, { kind: 'ENV' | 'LABEL' }>,
  expander: Expander,
): string {
  const pairs = instruction.pairs.map(({ name, value }) => ({ name: expander.word(name), value: expander.word(value) }))
  if (instruction.kind === 'ENV') for (const { name, value } of pairs) setImageVariable(state, name, value)
  else {
    state.config.Labels ??= {}
    for (const { name, value } of pairs) setKey(state.config.Labels, name, value)
  }
  return `${instruction.kind} ${pairs.map(({ name, value }) => `${name}=${value}`).join(' ')}`
}

function applyCommand(state: StageState, instruction: Extract<Instruction, { kind: 'CMD' | 'ENTRYPOINT' }>): string {
  const { config } = state
  const args = commandArgs(state, instruction.command)
  if (instruction.kind === 'CMD') {
    config.Cmd = args
    config.ArgsEscaped = true
    state.hasCommand = true
  } else {
    config.Entrypoint = args
    if (!state.hasCommand) delete config.Cmd
  }
  if (instruction.kind === 'CMD' && args.length === 0) delete config.Cmd
  if (instruction.kind === 'ENTRYPOINT' && args.length === 0) delete config.Entrypoint
  return `${instruction.kind} ${quoteList(args)}`
}

/** A user of no name is none in the config. */
function applyUser(state: StageState, user: string): string {
  if (user === '') delete state.config.User
  else state.config.User = user
  return `USER ${user}`
}

function applyPorts(state: StageState, words: readonly string[], expander: Expander): string {
  const ports = words.flatMap((word) => expander.words(word)).flatMap(parsePorts)
  state.config.ExposedPorts ??= {}
  for (const port of ports) setKey(state.config.ExposedPorts, port, {})
  return `EXPOSE [${ports.join(' ')}]`
}

function applyVolumes(state: StageState, words: readonly string[], expander: Expander): string {
  const volumes = words.map((word) => expander.word(word))
  if (volumes.includes('')) throw new SyntaxFault('VOLUME specified can not be an empty string')
  state.config.Volumes ??= {}
  for (const volume of volumes) setKey(state.config.Volumes, volume, {})
  return `VOLUME [${volumes.join(' ')}]`
}

/** An own property, whatever its name is: `__proto__` too. */
function setKey<T>(record: Record<string, T>, key: string, value: T): void {
  Object.defineProperty(record, key, { value, enumerable: true, configurable: true, writable: true })
}

function applyHealthcheck(state: StageState, check: HealthcheckInstruction): string {
  const test = healthTest(check.test)
  const times = {
    Interval: check.interval,
    Timeout: check.timeout,
    StartPeriod: check.startPeriod,
    StartInterval: check.startInterval,
  }
  const set = Object.fromEntries(Object.entries(times).filter(([, nanoseconds]) => nanoseconds !== 0))
  state.config.Healthcheck = { Test: test, ...set, ...(check.retries ? { Retries: check.retries } : {}) }
  const printed = Object.entries(times).map(([name, nanoseconds]) => `${name}:${formatDuration(nanoseconds)}`)
  return `HEALTHCHECK {Test:[${test.join(' ')}] ${printed.join(' ')} Retries:${check.retries}}`
}

function healthTest(test: HealthcheckInstruction['test']): string[] {
  if (test === 'none') return ['NONE']
  return test.form === 'exec' ? ['CMD', ...test.args] : ['CMD-SHELL', test.text]
}
