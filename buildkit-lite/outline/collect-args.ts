import type { LineRange } from '../dockerfile/errors.ts'
import { expand } from '../dockerfile/expand.ts'
import type { ArgInstruction, PlacedInstruction } from '../dockerfile/instruction.ts'
import type { PlanInput } from '../plan/plan-input.ts'
import type { StageNode } from '../plan/stage-graph.ts'
import { describeDefinition } from './describe.ts'

/** An argument that a build takes. */
export interface OutlineArg {
  name: string
  description: string
  /** As it is for this build: given, or its default; empty for none. */
  value: string
  line: number
  lastLine: number
}

interface KnownArg extends OutlineArg {
  /** Names that its default uses. */
  uses: ReadonlySet<string>
}

/** The arguments that the stages use, each where it was defined, in file order. */
export function collectArgs(
  input: PlanInput,
  globals: ReadonlyMap<string, string>,
  stages: readonly StageNode[],
): OutlineArg[] {
  const known = readGlobals(input, globals)
  const found = new Map<string, KnownArg>()
  const keep = (arg: KnownArg): void => {
    if (found.has(arg.name)) return
    found.set(arg.name, arg)
    for (const name of arg.uses) keepNamed(name)
  }
  const keepNamed = (name: string): void => {
    const arg = known.get(name)
    if (arg) keep(arg)
  }
  for (const stage of stages) {
    for (const name of namesInFrom(input, stage, globals)) keepNamed(name)
    for (const arg of readStage(input, globals, stage)) keep(arg)
    for (const name of namesInArgs(stage)) keepNamed(name)
  }
  return [...found.values()].map(({ uses: _uses, ...arg }) => arg).sort((a, b) => a.line - b.line)
}

function readGlobals(
  { dockerfile, buildArgs }: PlanInput,
  globals: ReadonlyMap<string, string>,
): Map<string, KnownArg> {
  const args = new Map<string, KnownArg>()
  const { escape } = dockerfile.directives
  for (const placed of dockerfile.globalArgs) {
    for (const { name, value } of placed.instruction.args) {
      const uses = value === null || Object.hasOwn(buildArgs, name) ? NONE : expand(value, globals, { escape }).used
      args.set(name, { ...define(placed, name, globals.get(name) ?? ''), uses })
    }
  }
  return args
}

const NONE: ReadonlySet<string> = new Set()

function define(placed: LineRange & { comments: readonly string[] }, name: string, value: string): OutlineArg {
  const { comments, first, last } = placed
  return { name, description: describeDefinition(comments, name), value, line: first, lastLine: last }
}

function namesInFrom({ dockerfile }: PlanInput, { parsed }: StageNode, globals: ReadonlyMap<string, string>) {
  const { escape } = dockerfile.directives
  const texts = [parsed.from.image, parsed.from.platform ?? '']
  return texts.flatMap((text) => [...expand(text, globals, { escape }).used])
}

/** ARGs of the stage itself. Defaults see what the file has set before them, not what a base image sets. */
function readStage(input: PlanInput, globals: ReadonlyMap<string, string>, { parsed }: StageNode): KnownArg[] {
  const { buildArgs, dockerfile } = input
  const { escape } = dockerfile.directives
  const variables = new Map<string, string>()
  const args: KnownArg[] = []
  for (const placed of parsed.instructions) {
    const { instruction } = placed
    if (instruction.kind === 'ENV') {
      for (const { name, value } of instruction.pairs) variables.set(name, expand(value, variables, { escape }).text)
    }
    if (instruction.kind !== 'ARG') continue
    for (const { name, value } of instruction.args) {
      const given = Object.hasOwn(buildArgs, name) ? (buildArgs[name] ?? '') : null
      const own = given ?? (value === null ? (globals.get(name) ?? null) : expand(value, variables, { escape }).text)
      if (own !== null) variables.set(name, own)
      if (value === null && isInherited(input, globals, name)) continue
      args.push({ ...define(placed, name, own ?? ''), uses: NONE })
    }
  }
  return args
}

/** An ARG that only repeats a global one is described where that one is. */
function isInherited({ buildArgs }: PlanInput, globals: ReadonlyMap<string, string>, name: string): boolean {
  return !Object.hasOwn(buildArgs, name) && globals.has(name)
}

function namesInArgs({ parsed }: StageNode): string[] {
  return parsed.instructions.filter(isArg).flatMap(({ instruction }) => instruction.args.map(({ name }) => name))
}

function isArg(placed: PlacedInstruction): placed is PlacedInstruction & { instruction: ArgInstruction } {
  return placed.instruction.kind === 'ARG'
}
