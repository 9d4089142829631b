import { BuildErrorKind, SlipwayError, SourceError } from '#domain/errors'
import { type LineRange, renderExcerpt } from '../dockerfile/errors.ts'
import { parseTrigger } from '../dockerfile/parse.ts'
import type { ResolvedImage } from './plan.ts'
import type { PlanInput } from './plan-input.ts'
import { formatPlatform } from './platform.ts'
import type { Origin, StageGraph, StageNode } from './stage-graph.ts'

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
    const wanted = stages.flatMap((stage) => graph.needs(stage))
    const missing = new Map<string, { origin: ImageOrigin; at: LineRange }>()
    for (const { origin, at } of wanted) {
      if (origin.kind !== 'image' || images.has(imageKey(origin))) continue
      if (!missing.has(imageKey(origin))) missing.set(imageKey(origin), { origin, at })
    }
    const open = stages.filter((stage) => !stage.triggersKnown)
    if (missing.size === 0 && open.length === 0) return images
    await Promise.all(
      [...missing].map(async ([key, { origin, at }]) => images.set(key, await resolveImage(input, origin, at, signal))),
    )
    for (const stage of open) addTriggers(stage, images, input)
  }
}

async function resolveImage(
  input: PlanInput,
  origin: ImageOrigin,
  at: LineRange,
  signal: AbortSignal,
): Promise<ResolvedImage> {
  try {
    return await (origin.resolver ?? input.resolver).resolve(origin.reference, origin.platform, signal)
  } catch (error) {
    const kind = BuildErrorKind.safeParse(error instanceof SlipwayError ? error.kind : null).data
    if (!kind || kind === 'cancelled' || !(error instanceof Error)) throw error
    const { source } = input.dockerfile
    const place = { file: source.name, line: at.first, excerpt: renderExcerpt(source, at) }
    throw new SourceError(kind, error.message, place, { cause: error })
  }
}

/** One image of one platform is one step, however often it is named. */
export function imageKey(origin: ImageOrigin): string {
  return `${origin.reference} ${formatPlatform(origin.platform)}`
}

/** ONBUILD of the base fires first in the stage that is built from it, and is not inherited further. */
function addTriggers(stage: StageNode, images: ReadonlyMap<string, ResolvedImage>, input: PlanInput): void {
  const { base } = stage
  const texts =
    base.kind === 'image'
      ? (images.get(imageKey(base))?.config.config?.OnBuild ?? [])
      : base.kind === 'stage'
        ? base.stage.parsed.instructions.flatMap(({ instruction }) =>
            instruction.kind === 'ONBUILD' ? [instruction.trigger] : [],
          )
        : []
  const triggers = texts.map((text) => parseTrigger(text, input.dockerfile.source, stage.parsed))
  stage.instructions = [...triggers, ...stage.instructions]
  stage.triggersKnown = true
}
