import type { Layer } from '#domain/digest'
import { SlipwayError } from '#domain/errors'
import type { PlannedHistory } from '../plan/plan.ts'
import type { HistoryEntry } from './config.ts'

/** A layer of a step that ran, and when it did. */
export interface StepLayer {
  layer: Layer
  createdAtMs: number
}

export interface FilledHistory {
  entries: HistoryEntry[]
  /** The new layers in order, for the entries that have one. */
  layers: Layer[]
  /** The newest time among the entries; null where none has one. */
  created: string | null
}

/**
 * Turns the plan's history into the image's. An entry with a layer has its step's time. A new one without has that of
 * the layer before it, or of the first new layer where none is; so a rebuild from the cache repeats every byte. With
 * `sourceDateEpoch` (Unix seconds), that is the time of the image and of every new entry.
 */
export function fillHistory(
  planned: readonly PlannedHistory[],
  stepLayers: ReadonlyMap<number, StepLayer>,
  sourceDateEpoch: number | null = null,
): FilledHistory {
  const epochMs = sourceDateEpoch === null ? null : sourceDateEpoch * 1000
  const made = planned.map(({ step, entry }) => (step === null ? null : layerOf(step, entry, stepLayers)))
  let timeMs = made.find((one) => one !== null)?.createdAtMs
  const entries = planned.map(({ entry }, index) => {
    timeMs = epochMs ?? made[index]?.createdAtMs ?? timeMs
    // Entries of the base image have their own time.
    if (entry.created !== undefined || timeMs === undefined) return entry
    return { ...entry, created: new Date(timeMs).toISOString() }
  })
  const layers = made.flatMap((one) => (one === null ? [] : [one.layer]))
  return { entries, layers, created: epochMs === null ? newest(entries) : new Date(epochMs).toISOString() }
}

function layerOf(step: number, entry: HistoryEntry, stepLayers: ReadonlyMap<number, StepLayer>): StepLayer {
  const found = stepLayers.get(step)
  if (found) return found
  throw new SlipwayError('internal', `There is no layer of step ${step} (${entry.created_by ?? ''}), expected one`)
}

function newest(entries: readonly HistoryEntry[]): string | null {
  let latest: { created: string; ms: number } | null = null
  for (const { created } of entries) {
    const ms = created === undefined ? Number.NaN : Date.parse(created)
    if (created !== undefined && ms > (latest?.ms ?? Number.NEGATIVE_INFINITY)) latest = { created, ms }
  }
  return latest?.created ?? null
}
