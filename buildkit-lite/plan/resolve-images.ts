import { BuildErrorKind, SlipwayError, SourceError } from '#domain/errors'
import { formatImageReference, namesRegistry, parseImageReference } from '#domain/image-reference'
import { renderExcerpt } from '../dockerfile/errors.ts'
import { parseTrigger } from '../dockerfile/parse.ts'
import type { ResolvedImage } from './plan.ts'
import type { PlanInput } from './plan-input.ts'
import { formatPlatform } from './platform.ts'
import type { Need, Origin, StageGraph, StageNode } from './stage-graph.ts'

export type ImageOrigin = Extract<Origin, { kind: 'image' }>

/**
 * Resolves each image once, all of them in parallel. Triggers of an image may name further images and stages, so it
 * goes on until nothing new is needed.
 */
export async function resolveImages(
  input: PlanInput,
  graph: StageGraph,
  target: StageNode,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ResolvedImage>> {
  const images = new Map<string, ResolvedImage>()
  for (;;) {
    const stages = graph.reachable(target)
    const missing = new Map<string, ImageNeed>()
    for (const need of stages.flatMap((stage) => graph.needs(stage))) {
      if (!isImageNeed(need) || images.has(imageKey(need.origin))) continue
      if (!missing.has(imageKey(need.origin))) missing.set(imageKey(need.origin), need)
    }
    const open = stages.filter((stage) => !stage.triggersKnown)
    if (missing.size === 0 && open.length === 0) return images
    await Promise.all(
      [...missing].map(async ([key, need]) => images.set(key, await resolveImage(input, graph, need, signal))),
    )
    for (const stage of open) addTriggers(stage, images, input)
  }
}

type ImageNeed = Need & { origin: ImageOrigin }

function isImageNeed(need: Need): need is ImageNeed {
  return need.origin.kind === 'image'
}

async function resolveImage(
  input: PlanInput,
  graph: StageGraph,
  { origin, name, at }: ImageNeed,
  signal: AbortSignal,
): Promise<ResolvedImage> {
  try {
    return await (origin.resolver ?? input.resolver).resolve(origin.reference, origin.platform, signal)
  } catch (error) {
    const kind = BuildErrorKind.safeParse(error instanceof SlipwayError ? error.kind : null).data
    if (!kind || kind === 'cancelled' || !(error instanceof Error)) throw error
    const { source } = input.dockerfile
    const place = { file: source.name, line: at.first, excerpt: renderExcerpt(source, at) }
    // An image that nobody has may be a stage that is misspelt.
    const meant = graph.suggestStage(name)
    throw new SourceError(kind, `${error.message}${meant}`, place, { cause: error })
  }
}

/** One image of one platform is one step, however often it is named. */
export function imageKey({ reference, platform, resolver }: ImageOrigin): string {
  return `${resolver ? reference : spellReference(reference)} ${formatPlatform(platform)}`
}

/** `alpine` and `alpine:latest` are one; which registry a name without one is of is found out later. */
function spellReference(reference: string): string {
  const spelled = formatImageReference(parseImageReference(reference))
  return namesRegistry(reference) ? spelled : spelled.replace(/^[^/]+/, '')
}

/** ONBUILD of the base fires first in the stage that is built from it, and is not inherited further. */
function addTriggers(stage: StageNode, images: ReadonlyMap<string, ResolvedImage>, input: PlanInput): void {
  stage.triggersKnown = true
  // What stands in for a stage is taken as it is.
  if (stage.isReplaced) return
  const { source, directives } = input.dockerfile
  // A trigger of this file is read with its escape; which one the file of an image had, nobody knows.
  const escape = stage.base.kind === 'stage' ? directives.escape : '\\'
  const triggers = triggersOf(stage.base, images).map((text) => {
    const placed = parseTrigger({ text, escape }, source, stage.parsed)
    // It says where an instruction comes from that the stage itself does not have.
    return { ...placed, title: `ONBUILD ${placed.title}` }
  })
  if (triggers.length > 0) stage.instructions = [...triggers, ...stage.instructions]
}

function triggersOf(base: Origin, images: ReadonlyMap<string, ResolvedImage>): readonly string[] {
  if (base.kind === 'image') return images.get(imageKey(base))?.config.config?.OnBuild ?? []
  if (base.kind !== 'stage' || base.stage.isReplaced) return []
  return base.stage.parsed.instructions.flatMap(({ instruction }) =>
    instruction.kind === 'ONBUILD' ? [instruction.trigger] : [],
  )
}
