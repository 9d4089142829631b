import { DockerfileError, locate } from '../dockerfile/errors.ts'
import { expand } from '../dockerfile/expand.ts'
import type { ParsedStage } from '../dockerfile/parse.ts'
import type { PlanInput } from './plan-input.ts'
import { automaticArgs, normalisePlatform, parsePlatform } from './platform.ts'
import { StageGraph, type StageNode } from './stage-graph.ts'

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
      const own =
        value === null ? undefined : locate(dockerfile.source, placed, () => expand(value, globals, { escape }).text)
      const given = Object.hasOwn(buildArgs, name) ? buildArgs[name] : own
      if (given !== undefined) globals.set(name, given)
    }
  }
  return globals
}

/** The stages with their FROM lines expanded in the global scope. */
export function readGraph(input: PlanInput, globals: ReadonlyMap<string, string>): StageGraph {
  const { dockerfile } = input
  const graph = new StageGraph(dockerfile.source, input.namedContexts)
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
  const name = expand(from.image, globals, { escape }).text
  if (name === '') throw new DockerfileError(`base name (${from.image}) should not be blank`, source, parsed)
  const wanted = from.platform === null ? null : expand(from.platform, globals, { escape }).text
  if (wanted === '') {
    throw new DockerfileError(`empty platform value from expression ${from.platform}`, source, parsed)
  }
  const platform = wanted === null ? normalisePlatform(input.platform) : parsePlatform(wanted, input.platform)
  const label = from.name ?? `stage-${index}`
  // A named context with the name of a stage stands in for the whole stage.
  const replaced = from.name === null ? null : graph.namedContext(from.name, platform)
  const base = replaced ?? graph.findBase(name, platform)
  return {
    index,
    label,
    parsed,
    base,
    platform: wanted === null && base.kind === 'stage' ? base.stage.platform : platform,
    instructions: replaced ? [] : parsed.instructions,
    triggersKnown: false,
  }
}
