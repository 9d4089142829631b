import type { DiskSpace } from '#host/disk-space'
import type { DiskKind, DiskObject } from '#host/disk-store'

/** How much may be kept. What is not given is a part of the disk. */
export interface DiskLimits {
  /** Kept in any case. */
  reservedBytes?: number
  /** Kept at most. */
  maxBytes?: number
  /** Left free on the disk, for everything else. */
  minFreeBytes?: number
  /** Keeps nothing that is not in use. */
  keepNothing?: true
}

/** An object of one of several stores. */
export interface Candidate extends DiskObject {
  store: number
}

export interface Removal {
  object: Candidate
  reason: string
}

const HOUR_MS = 60 * 60_000
const DAY_MS = 24 * HOUR_MS
const CHEAP_UNUSED_MS = 48 * HOUR_MS
const CHEAP_BYTES = 512e6
const OLD_MS = 60 * DAY_MS
/** How much sooner something goes than what has to be built again: this times its age counts. */
const CHEAPNESS: Readonly<Record<DiskKind, number>> = {
  'step-record': 1,
  blob: 1,
  // Unpacked again from its blob.
  snapshot: 2,
  'cache-mount': 4,
  download: 4,
  'git-repository': 4,
}

/** How much may be kept on this disk now. */
export function allowedBytes(limits: DiskLimits, usedBytes: number, { freeBytes, totalBytes }: DiskSpace): number {
  if (limits.keepNothing) return 0
  const maxBytes = limits.maxBytes ?? Math.min(0.8 * totalBytes, 100e9)
  const reservedBytes = Math.min(limits.reservedBytes ?? Math.min(0.1 * totalBytes, 10e9), maxBytes)
  const minFreeBytes = limits.minFreeBytes ?? 0.2 * totalBytes
  return Math.max(reservedBytes, Math.min(maxBytes, usedBytes + freeBytes - minFreeBytes))
}

/**
 * What is to go, in this order, until no more is kept than allowed: records without a result; what is cheap to get again
 * and was not used for 48 hours, down to 512 MB of it; what was not used for 60 days; then what was used longest ago,
 * cheap things sooner. Never what is in use, and nothing before what stands on it.
 */
export function planRemovals(all: readonly Candidate[], allowed: number, nowMs: number): Removal[] {
  const objects = withDependants(all)
  const removals: Removal[] = []
  const planned = new Set<Candidate>()
  let keptBytes = all.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const remove = (object: Candidate, reason: string): void => {
    if (object.inUse || planned.has(object)) return
    planned.add(object)
    keptBytes -= object.sizeBytes
    removals.push({ object, reason })
  }
  for (const object of objects) if (object.kind === 'step-record') remove(object, 'its layer is gone')
  const cheap = objects.filter((object) => CHEAPNESS[object.kind] >= 4).sort(byAge)
  let cheapBytes = cheap.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  for (const object of cheap) {
    if (cheapBytes <= CHEAP_BYTES || nowMs - object.usedAtMs < CHEAP_UNUSED_MS) break
    if (!object.inUse) cheapBytes -= object.sizeBytes
    remove(object, 'fetched or filled again when needed, not used for 48 hours')
  }
  const rest = objects.filter((object) => !planned.has(object) && object.kind !== 'step-record')
  rest.sort((a, b) => scoreOf(b, nowMs) - scoreOf(a, nowMs) || b.parents.length - a.parents.length)
  for (const [isDue, reason] of [
    [(object: Candidate) => nowMs - object.usedAtMs > OLD_MS, 'not used for 60 days'],
    [() => true, 'used longest ago'],
  ] as const) {
    for (const object of rest) {
      // A limit of nothing has no use for what is empty either.
      if (keptBytes <= allowed && allowed > 0) return removals
      if (isDue(object)) remove(object, reason)
    }
  }
  return removals
}

function byAge(a: Candidate, b: Candidate): number {
  return a.usedAtMs - b.usedAtMs
}

function scoreOf({ kind, usedAtMs }: Candidate, nowMs: number): number {
  return Math.max(0, nowMs - usedAtMs) * CHEAPNESS[kind]
}

/** What others stand on is used whenever they are. */
function withDependants(objects: readonly Candidate[]): Candidate[] {
  const found = new Map(objects.map((object) => [`${object.store} ${object.id}`, { ...object }]))
  for (const { store, parents, usedAtMs, inUse } of objects) {
    for (const parent of parents) {
      const below = found.get(`${store} ${parent}`)
      if (!below) continue
      below.usedAtMs = Math.max(below.usedAtMs, usedAtMs)
      below.inUse ||= inUse
    }
  }
  return [...found.values()]
}
