import type { DeploymentSpec, IntOrString } from '../kinds.ts'

/**
 * The arithmetic of a rolling update: how many pods each ReplicaSet may have. Same rules as Kubernetes' own controller.
 * https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-update-deployment
 */

/** A ReplicaSet as the arithmetic sees it. */
export interface Size {
  name: string
  /** Wanted pods. */
  replicas: number
  available: number
  /** Anything that orders by age. */
  created: number
}

/** Wanted pods by name of ReplicaSet; only those that change. */
export type Sizes = Map<string, number>

export interface Bounds {
  desired: number
  /** Pods there may be above the desired number. */
  surge: number
  /** Pods there may be missing. */
  unavailable: number
}

/** What a Deployment's percentages come to; both 0 would never move, so one pod then may be missing. */
export function resolveFenceposts(surge: IntOrString, unavailable: IntOrString, desired: number) {
  const resolved = { surge: resolve(surge, desired, Math.ceil), unavailable: resolve(unavailable, desired, Math.floor) }
  return resolved.surge === 0 && resolved.unavailable === 0 ? { surge: 0, unavailable: 1 } : resolved
}

function resolve(value: IntOrString, desired: number, round: (value: number) => number): number {
  if (typeof value === 'number') return value
  return round((Number.parseInt(value, 10) * desired) / 100)
}

export function boundsOf({ replicas = 1, strategy }: Pick<DeploymentSpec, 'replicas' | 'strategy'>): Bounds {
  if (strategy?.type === 'Recreate') return { desired: replicas, surge: 0, unavailable: 0 }
  const { maxSurge = 0, maxUnavailable = 0 } = strategy?.rollingUpdate ?? {}
  const { surge, unavailable } = resolveFenceposts(maxSurge, maxUnavailable, replicas)
  return { desired: replicas, surge, unavailable: replicas === 0 ? 0 : Math.min(unavailable, replicas) }
}

/** How many pods the new ReplicaSet may grow to; `total` is what all ReplicaSets want together. */
export function grownSize({ desired, surge }: Bounds, newReplicas: number, total: number): number {
  const room = desired + surge - total
  return room <= 0 ? newReplicas : newReplicas + Math.min(room, desired - newReplicas)
}

/** The new ReplicaSet's next size. */
export function nextNewSize(bounds: Bounds, newReplicas: number, total: number): number {
  return newReplicas >= bounds.desired ? bounds.desired : grownSize(bounds, newReplicas, total)
}

/** The next sizes of the old ReplicaSets: first pods that do not work go, then as many as may be missing. */
export function shrinkOld(bounds: Bounds, olds: readonly Size[], newSize: Size | null): Sizes {
  const minAvailable = bounds.desired - bounds.unavailable
  const total = sum(olds, 'replicas') + (newSize?.replicas ?? 0)
  const newUnavailable = (newSize?.replicas ?? 0) - (newSize?.available ?? 0)
  const budget = total - minAvailable - newUnavailable
  if (sum(olds, 'replicas') === 0 || budget <= 0) return new Map()
  const cleaned = cleanUnhealthy(olds, budget)
  const left = olds.map((old) => ({ ...old, replicas: cleaned.get(old.name) ?? old.replicas }))
  return new Map([...cleaned, ...scaleDownOld(bounds, left, newSize?.available ?? 0)])
}

/** Takes at most `budget` pods that are not available, from the oldest ReplicaSets first. */
export function cleanUnhealthy(olds: readonly Size[], budget: number): Sizes {
  return takeFrom(olds, budget, ({ replicas, available }) => replicas - available)
}

/** Takes as many pods as are available beyond what has to be. */
export function scaleDownOld(bounds: Bounds, olds: readonly Size[], newAvailable: number): Sizes {
  const minAvailable = bounds.desired - bounds.unavailable
  const budget = sum(olds, 'available') + newAvailable - minAvailable
  return takeFrom(olds, budget, ({ replicas }) => replicas)
}

function takeFrom(olds: readonly Size[], budget: number, available: (size: Size) => number): Sizes {
  const sizes: Sizes = new Map()
  let left = budget
  for (const old of olds.toSorted(byAge)) {
    const taken = Math.min(left, old.replicas === 0 ? 0 : available(old))
    if (left <= 0) break
    if (taken <= 0) continue
    sizes.set(old.name, old.replicas - taken)
    left -= taken
  }
  return sizes
}

/** Oldest first. */
export function byAge(a: Pick<Size, 'created' | 'name'>, b: Pick<Size, 'created' | 'name'>): number {
  return a.created - b.created || (a.name < b.name ? -1 : Number(a.name > b.name))
}

export interface ScaledSize extends Size {
  /** What the annotations of the ReplicaSet say it was sized for; null where they are missing. */
  annotatedDesired: number | null
  annotatedMax: number | null
}

/** Sizes after the Deployment itself was scaled in the middle of a rollout: in proportion to what there is. */
export function scaleInProportion(
  bounds: Bounds,
  newSize: ScaledSize | null,
  olds: readonly ScaledSize[],
  statusReplicas: number,
): Sizes {
  const all = newSize ? [...olds, newSize] : [...olds]
  const active = all.filter(({ replicas }) => replicas > 0)
  const only = active.length === 1 ? active[0] : active.length === 0 ? (newSize ?? olds.toSorted(byAge).at(-1)) : null
  if (only) return new Map([[only.name, bounds.desired]])
  if (active.length === 0) return new Map()
  if (newSize && isSaturated(newSize, bounds.desired)) {
    return new Map(olds.filter(({ replicas }) => replicas > 0).map(({ name }) => [name, 0]))
  }
  return distribute(bounds, active, statusReplicas)
}

function isSaturated({ replicas, available, annotatedDesired }: ScaledSize, desired: number): boolean {
  return replicas === desired && available === desired && annotatedDesired === desired
}

function distribute({ desired, surge }: Bounds, active: ScaledSize[], statusReplicas: number): Sizes {
  const allowed = desired > 0 ? desired + surge : 0
  const toAdd = allowed - sum(active, 'replicas')
  const isGrowing = toAdd > 0
  const ordered = active.toSorted((a, b) => b.replicas - a.replicas || (isGrowing ? byAge(b, a) : byAge(a, b)))
  const sizes: Sizes = new Map()
  let added = 0
  for (const size of ordered) {
    const share = shareOf(size, { desired, max: desired + surge, statusReplicas })
    const left = toAdd - added
    const change = toAdd === 0 || left === 0 ? 0 : isGrowing ? Math.min(share, left) : Math.max(share, left)
    sizes.set(size.name, size.replicas + change)
    added += change
  }
  const [first] = ordered
  // What rounding left over goes to the largest.
  if (first && toAdd !== 0) sizes.set(first.name, Math.max(0, (sizes.get(first.name) ?? 0) + toAdd - added))
  return sizes
}

/** How much a ReplicaSet would change, were it alone. */
function shareOf(size: ScaledSize, goal: { desired: number; max: number; statusReplicas: number }): number {
  if (goal.desired === 0) return -size.replicas
  const before = size.annotatedMax || goal.statusReplicas
  if (before === 0) return 0
  return Math.floor((size.replicas * goal.max) / before + 0.5) - size.replicas
}

function sum(sizes: readonly Size[], field: 'replicas' | 'available'): number {
  return sizes.reduce((total, size) => total + size[field], 0)
}
