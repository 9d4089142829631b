import { posix } from 'node:path'
import { locate, type SourceText } from '../dockerfile/errors.ts'
import { expand } from '../dockerfile/expand.ts'
import type { ArgInstruction, PlacedInstruction } from '../dockerfile/instruction.ts'
import { applyMetadata, type Expander } from './metadata.ts'
import type { CopyOrigin, Operation, PlanStep } from './plan.ts'
import { planCopy } from './plan-copy.ts'
import { planRun } from './plan-run.ts'
import type { Origin, StageNode } from './stage-graph.ts'
import { addHistory, type StageState, setVariable } from './stage-state.ts'

/** What all stages of one plan share. */
export interface PlanContext {
  source: SourceText
  escape: string
  /** Global ARGs and the automatic ones. */
  globals: ReadonlyMap<string, string>
  buildArgs: Readonly<Record<string, string>>
  network: 'default' | 'none' | 'host'
  /** Adds a step and answers its index. */
  addStep: (step: PlanStep) => number
  /** The files behind a name in `--from`: a step of another stage or of an image, or a named context. */
  originOf: (origin: Origin) => CopyOrigin
  findFrom: (name: string, stage: StageNode, numbers: boolean) => Origin
}

/** One instruction being planned: the state it changes and the expansion of its words. */
export interface Turn {
  context: PlanContext
  stage: StageNode
  state: StageState
  placed: PlacedInstruction
  expander: Expander
  addStep: (operation: Operation) => number
}

/** Carries out the instructions of a stage on its state; makes a step of each that makes files. */
export function buildStage(context: PlanContext, stage: StageNode, state: StageState): void {
  for (const placed of stage.instructions) {
    locate(context.source, placed, () => applyInstruction(openTurn(context, stage, state, placed)))
  }
}

function openTurn(context: PlanContext, stage: StageNode, state: StageState, placed: PlacedInstruction): Turn {
  // Values of one instruction see the variables before it, even those it sets itself.
  const before = new Map(state.env)
  const { escape } = context
  return {
    context,
    stage,
    state,
    placed,
    expander: {
      word: (text) => expand(text, before, { escape }).text,
      words: (text) => expand(text, before, { escape }).words,
    },
    addStep: (operation) => {
      const { title, first: line, last: lastLine } = placed
      const step = context.addStep({ stage: stage.label, title, line, lastLine, operation })
      state.fileSystem = step
      return step
    },
  }
}

function applyInstruction(turn: Turn): void {
  const { instruction } = turn.placed
  switch (instruction.kind) {
    case 'FROM':
      // It begins a stage and is never in one.
      return
    case 'ARG':
      return applyArg(turn, instruction)
    case 'RUN':
      return planRun(turn, instruction)
    case 'COPY':
    case 'ADD':
      return planCopy(turn, instruction)
    case 'WORKDIR':
      return applyWorkdir(turn, instruction.value)
    case 'CMD':
    case 'ENTRYPOINT':
    case 'ENV':
    case 'EXPOSE':
    case 'HEALTHCHECK':
    case 'LABEL':
    case 'MAINTAINER':
    case 'ONBUILD':
    case 'SHELL':
    case 'STOPSIGNAL':
    case 'USER':
    case 'VOLUME':
      return applyMetadata(turn.state, instruction, turn.expander)
    default:
      return instruction satisfies never
  }
}

function applyArg(turn: Turn, instruction: ArgInstruction): void {
  const { state, context, expander } = turn
  const args = instruction.args.map((arg) => {
    const name = expander.word(arg.name)
    const given = Object.hasOwn(context.buildArgs, name) ? context.buildArgs[name] : undefined
    const own = arg.value === null ? context.globals.get(name) : expander.word(arg.value)
    return { name, value: given ?? own ?? null }
  })
  for (const { name, value } of args) if (value !== null) setVariable(state, name, value)
  state.args = [...state.args, ...args]
  const text = args.map(({ name, value }) => (value === null ? name : `${name}=${value}`)).join(' ')
  addHistory(state, `ARG ${text}`, null)
}

function applyWorkdir(turn: Turn, value: string): void {
  const { state, expander, addStep } = turn
  const written = expander.word(value)
  // An absolute path stays as written in the config; the directory made is the clean one.
  const path = written.startsWith('/') ? written : posix.join(state.config.WorkingDir || '/', written)
  const absolute = path.startsWith('/') ? path : `/${path}`
  state.config.WorkingDir = absolute
  const clean = cleanPath(absolute)
  const user = state.config.User ?? ''
  const step = clean === '/' ? null : addStep({ kind: 'workdir', input: state.fileSystem, path: clean, user })
  addHistory(state, `WORKDIR ${absolute}`, step)
}

/** An absolute path without `.`, `..` and doubled or trailing slashes. */
function cleanPath(path: string): string {
  const clean = posix.resolve('/', path)
  return clean === '' ? '/' : clean
}
