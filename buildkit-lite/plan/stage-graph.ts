import { parseImageReference } from '#domain/image-reference'
import { DockerfileError, type LineRange, locate, type SourceText, SyntaxFault, suggest } from '../dockerfile/errors.ts'
import type { PlacedInstruction } from '../dockerfile/instruction.ts'
import type { ParsedStage } from '../dockerfile/parse.ts'
import type { NamedContexts } from './named-contexts.ts'
import type { ImageResolver, Platform } from './plan.ts'

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
  /** Whether a named context stands in for all of it. */
  isReplaced: boolean
  platform: Platform
  /** What runs: triggers of the base in front, once they are known. */
  instructions: readonly PlacedInstruction[]
  triggersKnown: boolean
}

/** Something that a stage is built from. */
export interface Need {
  origin: Origin
  /** As the Dockerfile names it. */
  name: string
  at: LineRange
  /** FROM, or what kind of `--from`. */
  by: 'base' | 'copy' | 'mount'
}

export interface GraphOptions {
  contexts: NamedContexts
  platform: Platform
  /** Whether stages count that the target does not need. */
  allStages: boolean
}

/** The stages of one Dockerfile and how names find them. */
export class StageGraph {
  readonly stages: StageNode[] = []
  readonly source: SourceText
  readonly #byName = new Map<string, StageNode>()
  readonly #contexts: NamedContexts
  readonly #platform: Platform
  readonly #allStages: boolean
  readonly #needs = new WeakMap<readonly PlacedInstruction[], readonly Need[]>()

  /** Images that are only copied from are those of `platform`, whichever the stage is for. */
  constructor(source: SourceText, { contexts, platform, allStages }: GraphOptions) {
    this.source = source
    this.#contexts = contexts
    this.#platform = platform
    this.#allStages = allStages
  }

  /** Adds the next stage in file order; of two with one name the later one is found. */
  add(stage: StageNode): void {
    this.stages.push(stage)
    if (stage.parsed.from.name !== null) this.#byName.set(stage.parsed.from.name, stage)
  }

  /** Where FROM leads: an earlier stage, nothing, a named context, or an image. */
  findBase(name: string, platform: Platform): Origin {
    const stage = this.#byName.get(name)
    if (stage) return { kind: 'stage', stage }
    if (name === 'scratch') return { kind: 'scratch' }
    return this.namedContext(name, platform) ?? this.#toImage(name, platform)
  }

  /** Where `--from` leads; COPY may also give a stage's number. */
  findFrom(name: string, numbers: boolean): Origin {
    const stage = this.#byName.get(name.toLowerCase())
    if (stage) return { kind: 'stage', stage }
    if (!numbers || !/^[+-]?\d+$/.test(name)) return this.findBase(name, this.#platform)
    const numbered = this.stages[Number(name)]
    if (numbered) return { kind: 'stage', stage: numbered }
    throw new SyntaxFault(
      `invalid stage index ${Number(name)}: expected one of the ${this.stages.length} stages, counted from 0`,
    )
  }

  namedContext(name: string, platform: Platform): Origin | null {
    const found = this.#contexts.find(name, platform)
    if (!found) return null
    const { key, context } = found
    switch (context.kind) {
      case 'context':
        return { kind: 'context', name: key }
      case 'scratch':
        return { kind: 'scratch' }
      case 'image': {
        const { reference, resolver } = context
        return { kind: 'image', reference, platform, ...(resolver ? { resolver } : {}) }
      }
      default:
        return context satisfies never
    }
  }

  /** The stage to build: the last one, or the one of that name. */
  target(name: string | null): StageNode {
    const stage = name === null ? this.stages.at(-1) : this.#byName.get(name.toLowerCase())
    if (stage) return stage
    const message = `target stage "${name}" could not be found${this.suggestStage(name ?? '')}`
    throw new DockerfileError(message, this.source, { first: 1, last: 1 })
  }

  /** A stage with nearly this name, in words to add to a message. */
  suggestStage(name: string): string {
    return suggest(name, [...this.#byName.keys()])
  }

  /** What a stage needs, in order: its base first, then each `--from`, with the instruction that names it. */
  needs(stage: StageNode): readonly Need[] {
    const known = this.#needs.get(stage.instructions)
    if (known) return known
    const { base: origin, parsed, instructions } = stage
    const needs: Need[] = [{ origin, name: parsed.from.image, at: parsed, by: 'base' }]
    for (const placed of instructions) {
      for (const { name, by } of namesOf(placed)) {
        needs.push({
          origin: locate(this.source, placed, () => this.findFrom(name, by === 'copy')),
          name,
          by,
          at: placed,
        })
      }
    }
    this.#needs.set(instructions, needs)
    return needs
  }

  /** All stages the target needs, in file order; all of the file where they are asked for. */
  reachable(target: StageNode): StageNode[] {
    if (this.#allStages) return this.stages
    const found = new Set<StageNode>()
    const open = [target]
    for (let stage = open.pop(); stage; stage = open.pop()) {
      if (found.has(stage)) continue
      found.add(stage)
      for (const { origin } of this.needs(stage)) if (origin.kind === 'stage') open.push(origin.stage)
    }
    return this.stages.filter((stage) => found.has(stage))
  }

  #toImage(name: string, platform: Platform): Origin {
    try {
      parseImageReference(name)
    } catch (error) {
      const message = `failed to parse stage name "${name}": invalid reference format${this.suggestStage(name)}`
      throw new SyntaxFault(message, { cause: error })
    }
    return { kind: 'image', reference: name, platform }
  }
}

/** The names that an instruction takes files from. */
function namesOf(placed: PlacedInstruction): { name: string; by: 'copy' | 'mount' }[] {
  const { instruction } = placed
  if (instruction.kind === 'COPY') return instruction.from === null ? [] : [{ name: instruction.from, by: 'copy' }]
  if (instruction.kind !== 'RUN') return []
  return instruction.mounts.flatMap((options) => {
    const from = options.findLast((option) => option.key === 'from')?.value
    return from ? [{ name: from, by: 'mount' as const }] : []
  })
}
