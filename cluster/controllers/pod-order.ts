import type { Pod } from '../kinds.ts'
import { findCondition } from './conditions.ts'

/** A pod as the order of deletion sees it. */
export interface PodRank {
  node: string
  phase: string
  isReady: boolean
  /** Unix milliseconds since when it is ready; null where it is not or nobody knows. */
  readySince: number | null
  restarts: number
  created: number
  /** How many pods of the same owner share its node. */
  neighbours: number
}

const PHASES = ['Pending', 'Unknown', 'Running']

/** Which pod goes first: the one that does least, then the one that ran shortest. */
export function compareForDeletion(a: PodRank, b: PodRank): number {
  if ((a.node === '') !== (b.node === '')) return a.node === '' ? -1 : 1
  const phases = PHASES.indexOf(a.phase) - PHASES.indexOf(b.phase)
  if (phases !== 0) return phases
  if (a.isReady !== b.isReady) return a.isReady ? 1 : -1
  if (a.neighbours !== b.neighbours) return b.neighbours - a.neighbours
  if (a.isReady && a.readySince !== b.readySince) return later(a.readySince, b.readySince)
  if (a.restarts !== b.restarts) return b.restarts - a.restarts
  return later(a.created, b.created)
}

/** The later time first; an unknown one counts as latest. */
function later(a: number | null, b: number | null): number {
  return (b ?? Number.MAX_SAFE_INTEGER) - (a ?? Number.MAX_SAFE_INTEGER)
}

export function rankOf(pod: Pod, neighbours: number): PodRank {
  const ready = findCondition(pod.status?.conditions, 'Ready')
  const since = ready?.status === 'True' && ready.lastTransitionTime ? Date.parse(ready.lastTransitionTime) : null
  const restarts = Math.max(0, ...(pod.status?.containerStatuses ?? []).map(({ restartCount }) => restartCount))
  return {
    node: pod.spec.nodeName ?? '',
    phase: pod.status?.phase ?? 'Pending',
    isReady: ready?.status === 'True',
    readySince: since,
    restarts,
    created: Date.parse(pod.metadata.creationTimestamp ?? ''),
    neighbours,
  }
}

export function isReady(pod: Pod): boolean {
  return findCondition(pod.status?.conditions, 'Ready')?.status === 'True'
}

/** Ready for longer than `minReadySeconds`; exactly as long is not yet enough. */
export function isAvailable(pod: Pod, minReadySeconds: number, nowMs: number): boolean {
  const ready = findCondition(pod.status?.conditions, 'Ready')
  if (ready?.status !== 'True') return false
  if (minReadySeconds === 0) return true
  const since = Date.parse(ready.lastTransitionTime ?? '')
  return since + minReadySeconds * 1000 < nowMs
}
