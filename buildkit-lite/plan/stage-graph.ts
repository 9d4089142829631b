import { formatImageReference, parseImageReference } from '#domain/image-reference'
import { DockerfileError, locate, type SourceText, SyntaxFault, suggest } from '../dockerfile/errors.ts'
import type { PlacedInstruction } from '../dockerfile/instruction.ts'
import type { ParsedStage } from '../dockerfile/parse.ts'
import type { ImageResolver, Platform } from './plan.ts'

/** A named context as the planner sees it: its files stay where they are. */
export type PlannedContext = { kind: 'context' } | { kind: 'image'; reference: string; resolver?: ImageResolver }

/** Where a name in FROM or `--from` leads. */
export type Origin =
  | { kind: 'scratch' }
  | { kind: 'stage'; stage: StageNode }
  | { kind: 'context'; name: string }
  | { kind: 'image'; reference: string; platform: Platform; resolver?: ImageResolver }

/** A stage of the Dockerfile, with its FROM expanded and its place among the others. */
export interface StageNode {
  index: number
  /** Its name, or `stage-N`. */
  label: string
  parsed: ParsedStage
  base: Origin
  platform: Platform
  /** What runs: triggers of the base in front, once they are known. */
  instructions: readonly PlacedInstruction[]
  triggersKnown: boolean
}

/** The stages of one Dockerfile and how names find them. */
export class StageGraph {
  readonly stages: StageNode[] = []
  readonly source: SourceText
  readonly #byName = new Map<string, StageNode>()
  readonly #contexts: Readonly<Record<string, PlannedContext>>

  constructor(source: SourceText, contexts: Readonly<Record<string, PlannedContext>>) {
    this.source = source
    this.#contexts = contexts
  }

  /** Adds the next stage in file order; of two with one name the later one is found. */
  add(stage: StageNode): void {
    this.stages.push(stage)
    if (stage.parsed.from.name !== null) this.#byName.set(stage.parsed.from.name, stage)
  }

  /** Where FROM leads: an earlier stage, nothing, a named context, or an image. */
  findBase(name: string, platform: Platform): Origin {
    const stage = this.#byName.get(name.toLowerCase())
    if (stage) return { kind: 'stage', stage }
    return this.namedContext(name, platform) ?? (name === 'scratch' ? { kind: 'scratch' } : toImage(name, platform))
  }

  /** Where `--from` leads; COPY may also give a stage's number. */
  findFrom(name: string, platform: Platform, numbers: boolean): Origin {
    const stage = this.#byName.get(name.toLowerCase())
    if (stage) return { kind: 'stage', stage }
    if (numbers && /^\d+$/.test(name)) {
      const numbered = this.stages[Number(name)]
      if (!numbered) throw new SyntaxFault(`invalid stage index ${name}: there are ${this.stages.length} stages`)
      return { kind: 'stage', stage: numbered }
    }
    return this.findBase(name, platform)
  }

  namedContext(name: string, platform: Platform): Origin | null {
    const key = Object.keys(this.#contexts).find((candidate) => isSameName(candidate, name))
    const context = key === undefined ? undefined : this.#contexts[key]
    if (key === undefined || !context) return null
    if (context.kind === 'context') return { kind: 'context', name: key }
    const { reference, resolver } = context
    return { kind: 'image', reference, platform, ...(resolver ? { resolver } : {}) }
  }

  /** The stage to build: the last one, or the one of that name. */
  target(name: string | null): StageNode {
    const stage = name === null ? this.stages.at(-1) : this.#byName.get(name.toLowerCase())
    if (stage) return stage
    const message = `target stage "${name}" could not be found${suggest(name ?? '', [...this.#byName.keys()])}`
    throw new DockerfileError(message, this.source, { first: 1, last: 1 })
  }

  /** What a stage needs, in order: its base first, then each `--from`, with the instruction that names it. */
  needs(stage: StageNode): { origin: Origin; at: { first: number; last: number } }[] {
    const named = stage.instructions.flatMap((placed) =>
      namesOf(placed).map(({ name, numbers }) => ({
        origin: locate(this.source, placed, () => this.findFrom(name, stage.platform, numbers)),
        at: placed,
      })),
    )
    return [{ origin: stage.base, at: stage.parsed }, ...named]
  }

  /** All stages the target needs, in file order. */
  reachable(target: StageNode): StageNode[] {
    const found = new Set<StageNode>()
    const open = [target]
    for (let stage = open.pop(); stage; stage = open.pop()) {
      if (found.has(stage)) continue
      found.add(stage)
      for (const { origin } of this.needs(stage)) if (origin.kind === 'stage') open.push(origin.stage)
    }
    return this.stages.filter((stage) => found.has(stage))
  }

  /** Fails where stages need each other in a circle, or need one that comes later. */
  checkOrder(target: StageNode): void {
    for (const stage of this.stages) {
      const circle = this.#stageNeeds(stage).find(({ stage: needed }) => this.#leadsTo(needed, stage))
      if (circle) {
        throw new DockerfileError(`circular dependency detected on stage: ${stage.label}`, this.source, circle.at)
      }
    }
    for (const stage of this.reachable(target)) {
      const later = this.#stageNeeds(stage).find(({ stage: needed }) => needed.index >= stage.index)
      if (!later) continue
      const message = `cannot copy from stage "${later.stage.label}", it needs to be defined before current stage "${stage.label}"`
      throw new DockerfileError(message, this.source, later.at)
    }
  }

  #stageNeeds(stage: StageNode): { stage: StageNode; at: { first: number; last: number } }[] {
    return this.#safeNeeds(stage).flatMap(({ origin, at }) =>
      origin.kind === 'stage' ? [{ stage: origin.stage, at }] : [],
    )
  }

  /** A mistake in a stage that nobody builds is nobody's trouble. */
  #safeNeeds(stage: StageNode): ReturnType<StageGraph['needs']> {
    try {
      return this.needs(stage)
    } catch {
      return []
    }
  }

  #leadsTo(from: StageNode, goal: StageNode): boolean {
    const seen = new Set<StageNode>()
    const open = [from]
    for (let stage = open.pop(); stage; stage = open.pop()) {
      if (stage === goal) return true
      if (seen.has(stage)) continue
      seen.add(stage)
      open.push(...this.#stageNeeds(stage).map((need) => need.stage))
    }
    return false
  }
}

/** The names that an instruction takes files from. */
function namesOf(placed: PlacedInstruction): { name: string; numbers: boolean }[] {
  const { instruction } = placed
  if (instruction.kind === 'COPY') return instruction.from === null ? [] : [{ name: instruction.from, numbers: true }]
  if (instruction.kind !== 'RUN') return []
  return instruction.mounts.flatMap((options) => {
    const from = options.findLast((option) => option.key === 'from')?.value
    return from ? [{ name: from, numbers: false }] : []
  })
}

function toImage(name: string, platform: Platform): Origin {
  try {
    parseImageReference(name)
  } catch (error) {
    throw new SyntaxFault(`failed to parse image name "${name}": invalid reference format`, { cause: error })
  }
  return { kind: 'image', reference: name, platform }
}

/** Whether a context's name means this image or stage: the same text, or the same image spelled differently. */
function isSameName(context: string, name: string): boolean {
  if (context.toLowerCase() === name.toLowerCase()) return true
  try {
    return formatImageReference(parseImageReference(context)) === formatImageReference(parseImageReference(name))
  } catch {
    return false
  }
}
