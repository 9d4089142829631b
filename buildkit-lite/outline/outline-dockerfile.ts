import type { BuildRequest, BuildTools } from '../contract.ts'
import type { SourceText } from '../dockerfile/errors.ts'
import { planInput } from '../make-plan.ts'
import type { Plan } from '../plan/plan.ts'
import { planDockerfile } from '../plan/plan-dockerfile.ts'
import { expandGlobals, readGraph } from '../plan/read-stages.ts'
import { readDockerfile } from '../read-dockerfile.ts'
import { collectArgs, type OutlineArg } from './collect-args.ts'
import { describeDefinition } from './describe.ts'

/** What a target can be given. */
export interface Outline {
  /** Of the target; empty where it has none. */
  name: string
  description: string
  args: readonly OutlineArg[]
  secrets: readonly OutlineMount[]
  ssh: readonly OutlineMount[]
  source: SourceText
}

interface OutlineMount {
  name: string
  required: boolean
  line: number
  lastLine: number
}

/** Plans a target for the arguments, secrets and agents that it uses; nothing is built. */
export async function outlineDockerfile(
  request: BuildRequest,
  { registry }: Pick<BuildTools, 'registry'>,
  signal: AbortSignal,
): Promise<Outline> {
  const dockerfile = await readDockerfile(request, signal)
  const input = planInput(request, dockerfile, registry)
  const plan = await planDockerfile(input, signal)
  const globals = expandGlobals(input)
  const graph = readGraph(input, globals)
  const target = graph.target(input.target)
  const { from, comments } = target.parsed
  // The target's own words come before those of the stages it needs.
  const stages = [target, ...graph.reachable(target).filter((stage) => stage !== target)]
  return {
    name: from.name ?? '',
    description: describeDefinition(comments, from.name),
    args: collectArgs(input, globals, stages),
    secrets: collectMounts(plan, 'secret'),
    ssh: collectMounts(plan, 'ssh'),
    source: dockerfile.source,
  }
}

/** Each id once, where it is first mounted; one that is required somewhere is required. */
function collectMounts(plan: Plan, kind: 'secret' | 'ssh'): OutlineMount[] {
  const found = new Map<string, OutlineMount>()
  for (const { operation, line, lastLine } of plan.steps) {
    if (operation.kind !== 'run') continue
    for (const mount of operation.mounts) {
      if (mount.kind !== kind) continue
      const first = found.get(mount.id) ?? {
        name: mount.id,
        required: false,
        line: line ?? 1,
        lastLine: lastLine ?? line ?? 1,
      }
      found.set(mount.id, { ...first, required: first.required || mount.required })
    }
  }
  return [...found.values()].sort((a, b) => a.line - b.line)
}
