import { DockerfileError, locate, SyntaxFault, suggest } from '../dockerfile/errors.ts'
import { expand } from '../dockerfile/expand.ts'
import type { ParsedStage } from '../dockerfile/parse.ts'
import type { GlobalScope } from '../lint/lint-from.ts'
import { NamedContexts } from './named-contexts.ts'
import type { Platform } from './plan.ts'
import type { PlanInput } from './plan-input.ts'
import { automaticArgs, normalisePlatform, parsePlatform } from './platform.ts'
import { type Origin, StageGraph, type StageNode } from './stage-graph.ts'

/** The global scope: automatic arguments, then each ARG before the first FROM in the scope so far. */
export function expandGlobals(input: PlanInput): Map<string, string> {
  const { dockerfile, buildArgs } = input
  const lastStage = dockerfile.stages.at(-1)?.from.name ?? 'default'
  const globals = automaticArgs(
    normalisePlatform(input.buildPlatform),
    normalisePlatform(input.platform),
    input.target ?? lastStage,
  )
  for (const name of globals.keys()) if (Object.hasOwn(buildArgs, name)) globals.set(name, buildArgs[name] ?? '')
  const { escape } = dockerfile.directives
  for (const placed of dockerfile.globalArgs) {
    for (const { name, value } of placed.instruction.args) {
      // A default that is not used may have mistakes.
      if (Object.hasOwn(buildArgs, name)) globals.set(name, buildArgs[name] ?? '')
      else if (value !== null) {
        globals.set(
          name,
          locate(dockerfile.source, placed, () => expand(value, globals, { escape }).text),
        )
      }
    }
  }
  return globals
}

/** The stages with their FROM lines expanded in the global scope. */
export function readGraph(input: PlanInput, globals: ReadonlyMap<string, string>): StageGraph {
  const { dockerfile } = input
  const contexts = new NamedContexts(input.namedContexts)
  const graph = new StageGraph(dockerfile.source, {
    contexts,
    platform: normalisePlatform(input.platform),
    allStages: input.allStages ?? false,
  })
  dockerfile.stages.forEach((parsed, index) => {
    graph.add(locate(dockerfile.source, parsed, () => readStage(input, globals, graph, { parsed, index })))
  })
  return graph
}

function readStage(
  input: PlanInput,
  globals: ReadonlyMap<string, string>,
  graph: StageGraph,
  { parsed, index }: { parsed: ParsedStage; index: number },
): StageNode {
  const { from } = parsed
  const { escape } = input.dockerfile.directives
  const { source } = input.dockerfile
  const image = expand(from.image, globals, { escape })
  input.lint?.readFrom(parsed, { image }, scopeOf(input, globals))
  const name = image.text
  if (name === '') throw new DockerfileError(`base name (${from.image}) should not be blank`, source, parsed)
  const requested = normalisePlatform(input.platform)
  const platform = from.platform === null ? requested : readPlatform(input, globals, parsed, from.platform)
  // A named context with the name of a stage stands in for the whole stage.
  const replaced = from.name === null ? null : graph.namedContext(from.name, platform)
  const base = replaced ?? graph.findBase(name, platform)
  return {
    index,
    label: from.name ?? `stage-${index}`,
    parsed,
    base,
    isReplaced: replaced !== null,
    platform: platformOf(base, { platform, requested }),
    instructions: replaced ? [] : parsed.instructions,
    triggersKnown: false,
  }
}

/** What is built on a stage is for its platform, and nothing is for the one that is asked for. */
function platformOf(base: Origin, { platform, requested }: { platform: Platform; requested: Platform }): Platform {
  if (base.kind === 'stage') return base.stage.platform
  return base.kind === 'scratch' ? requested : platform
}

/** The names that FROM may use: those with a value and those that are only declared. */
function scopeOf({ dockerfile }: PlanInput, values: ReadonlyMap<string, string>): GlobalScope {
  return {
    values,
    declared: () => dockerfile.globalArgs.flatMap(({ instruction }) => instruction.args.map(({ name }) => name)),
  }
}

function readPlatform(
  input: PlanInput,
  globals: ReadonlyMap<string, string>,
  parsed: ParsedStage,
  written: string,
): Platform {
  const { escape } = input.dockerfile.directives
  const platform = expand(written, globals, { escape })
  input.lint?.readFrom(parsed, { platform }, scopeOf(input, globals))
  const { text, unset } = platform
  const [unknown] = unset
  const meant = unknown === undefined ? '' : suggest(unknown, [...globals.keys()])
  if (text === '') throw new SyntaxFault(`empty platform value from expression ${written}${meant}`)
  try {
    return parsePlatform(text, input.platform)
  } catch (error) {
    // As in other builders, the message has both what is written and what it stands for.
    if (error instanceof SyntaxFault) {
      const message = error.message.replace(`platform ${text}:`, () => `platform ${written}:`)
      throw new SyntaxFault(`${message}${meant}`, { cause: error })
    }
    throw error
  }
}
