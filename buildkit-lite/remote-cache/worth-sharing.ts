import type { Layer } from '#domain/digest'

/** A layer that a build made, and how long its step took. */
export interface MadeLayer {
  layer: Layer
  tookMs: number
  stage: string
}

/** Sending a layer and getting it again is taken to cost a millisecond for so many bytes. */
const BYTES_PER_MS = 20_000
/** So little is sent whatever it took. */
const SMALL_BYTES = 1 << 20
/** All that one build sends. */
const MAX_BYTES = 2 ** 30

/**
 * Which layers are worth sending: those of stages that took longer than it costs to move them. A stage counts as a
 * whole, since a step is found only by those who have what is below it.
 */
export function worthSharing(made: readonly MadeLayer[]): Layer[] {
  const stages = [...Map.groupBy(made, ({ stage }) => stage).values()].map(measure)
  const chosen = stages.filter(({ bytes, tookMs }) => bytes <= SMALL_BYTES || tookMs >= bytes / BYTES_PER_MS)
  const layers: Layer[] = []
  let left = MAX_BYTES
  // What saves most for each byte comes first.
  for (const stage of chosen.toSorted((a, b) => b.tookMs / (b.bytes + 1) - a.tookMs / (a.bytes + 1))) {
    if (stage.bytes > left) continue
    left -= stage.bytes
    layers.push(...stage.layers)
  }
  return layers
}

function measure(made: readonly MadeLayer[]): { layers: Layer[]; bytes: number; tookMs: number } {
  const steps = [...new Map(made.map((one) => [one.layer.descriptor.digest, one])).values()]
  return {
    layers: steps.map(({ layer }) => layer),
    bytes: steps.reduce((sum, { layer }) => sum + layer.descriptor.size, 0),
    tookMs: steps.reduce((sum, { tookMs }) => sum + tookMs, 0),
  }
}
