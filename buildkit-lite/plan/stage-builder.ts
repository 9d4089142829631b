import { posix } from 'node:path'
import { locate, type SourceText } from '../dockerfile/errors.ts'
import { type Expanded, type ExpandOptions, expand } from '../dockerfile/expand.ts'
import type { ArgInstruction, PlacedInstruction } from '../dockerfile/instruction.ts'
import type { StageLint } from '../lint/lint-stage.ts'
import { applyMetadata, type Expander } from './metadata.ts'
import type { CopyOrigin, Operation, PlanStep, WorkdirOperation } from './plan.ts'
import { planCopy } from './plan-copy.ts'
import { planRun } from './plan-run.ts'
import type { Origin, StageNode } from './stage-graph.ts'
import { addHistory, joinWorkingDir, type StageState, setVariable, variablesBefore } from './stage-state.ts'

/** What all stages of one plan share. */
export interface PlanContext {
  source: SourceText
  escape: string
  /** Global ARGs and the automatic ones. */
  globals: ReadonlyMap<string, string>
  buildArgs: Readonly<Record<string, string>>
  network: 'default' | 'none' | 'host'
  /** Unix seconds; null for the real time. */
  sourceDateEpoch: number | null
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
  /** Expands a text; names without a value are warned of. */
  read: (text: string, variables: ReturnType<typeof variablesBefore>, options: ExpandOptions) => Expanded
  addStep: (operation: Operation) => number
}

/** Carries out the instructions of a stage on its state; makes a step of each that makes files. */
export function buildStage(
  context: PlanContext,
  stage: StageNode,
  state: StageState,
  lint: StageLint | null = null,
): void {
  for (const placed of stage.instructions) {
    // Values of one instruction see the variables before it, even those it sets itself.
    const variables = variablesBefore(state)
    locate(context.source, placed, () => {
      applyInstruction(openTurn({ context, stage, state, placed }, variables, lint))
      const { escape } = context
      lint?.instruction(placed, { shell: state.config.Shell, expand: (text) => expand(text, variables, { escape }) })
    })
  }
}

function openTurn(
  place: Pick<Turn, 'context' | 'stage' | 'state' | 'placed'>,
  variables: ReturnType<typeof variablesBefore>,
  lint: StageLint | null,
): Turn {
  const { context, stage, state, placed } = place
  const { escape } = context
  const read: Turn['read'] = (text, known, options) => {
    const expanded = expand(text, known, options)
    lint?.unset(expanded.unset, placed, { variables: known, args: state.args })
    return expanded
  }
  return {
    ...place,
    expander: {
      word: (text) => read(text, variables, { escape }).text,
      // Ports of variables that are not set are no ports: nothing to warn of.
      words: (text) => expand(text, variables, { escape }).words,
    },
    read,
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

/** Arguments that only tell what is scanned; no step sees them. */
const NO_VARIABLES = ['BUILDKIT_SBOM_SCAN_CONTEXT', 'BUILDKIT_SBOM_SCAN_STAGE']

/** Unlike those of ENV, each value sees the ones before it in the same instruction. A default counts only if it is used. */
function applyArg(turn: Turn, instruction: ArgInstruction): void {
  const { state } = turn
  const texts = instruction.args.map((arg) => {
    const { name } = arg
    const value = valueOf(turn, arg)
    if (value !== null && !NO_VARIABLES.includes(name)) setVariable(state, name, value)
    state.args.push({ name, value })
    return value === null ? name : `${name}=${value}`
  })
  addHistory(state, `ARG ${texts.join(' ')}`, null)
}

function valueOf({ context, state, read }: Turn, { name, value }: ArgInstruction['args'][number]): string | null {
  if (Object.hasOwn(context.buildArgs, name)) return context.buildArgs[name] ?? ''
  if (value === null) return context.globals.get(name) ?? null
  return read(value, state.env, { escape: context.escape }).text
}

function applyWorkdir(turn: Turn, value: string): void {
  const { state, expander, addStep, context } = turn
  const path = joinWorkingDir(state.config.WorkingDir, expander.word(value))
  state.config.WorkingDir = path
  addHistory(state, `WORKDIR ${path}`, path === '/' ? null : addStep(makeDirectory(state, path, context)))
}

/** The directory that is made is the clean path, of which the config keeps what was written. */
function makeDirectory(state: StageState, path: string, { sourceDateEpoch }: PlanContext): WorkdirOperation {
  return {
    kind: 'workdir',
    input: state.fileSystem,
    path: posix.resolve(path),
    user: state.config.User ?? '',
    ...(sourceDateEpoch === null ? {} : { timestamp: sourceDateEpoch }),
  }
}
