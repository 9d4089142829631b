import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  boundsOf,
  cleanUnhealthy,
  grownSize,
  nextNewSize,
  resolveFenceposts,
  type Sizes,
  scaleDownOld,
  scaleInProportion,
  shrinkOld,
} from '../../../cluster/controllers/rolling-update.ts'
import type { IntOrString } from '../../../cluster/kinds.ts'

function recorded<T>(name: string): (T & { index: number })[] {
  const url = new URL(`../../fixtures/kubernetes/${name}.json`, import.meta.url)
  return (JSON.parse(readFileSync(url, 'utf8')) as T[]).map((each, index) => ({ ...each, index }))
}

interface RecordedSize {
  name: string
  replicas: number
  available: number
  created: number
}
interface Strategy {
  desired: number
  surge: IntOrString
  unavail: IntOrString
}

const bounds = ({ desired, surge, unavail }: Strategy) =>
  boundsOf({
    replicas: desired,
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: surge, maxUnavailable: unavail } },
  })

/** The wanted sizes of all ReplicaSets after a step. */
const after = (before: RecordedSize[], sizes: Sizes) =>
  Object.fromEntries(before.map(({ name, replicas }) => [name, sizes.get(name) ?? replicas]))

const taken = (before: RecordedSize[], sizes: Sizes) =>
  before.reduce((sum, { name, replicas }) => sum + replicas - (sizes.get(name) ?? replicas), 0)

describe('fenceposts', () => {
  type Case = Strategy & { outSurge: number; outUnavail: number; maxUnavailable: number; minAvailable: number }
  test.for(recorded<Case>('fenceposts'))('$desired pods, surge $surge, unavailable $unavail', (each) => {
    expect(resolveFenceposts(each.surge, each.unavail, each.desired)).toEqual({
      surge: each.outSurge,
      unavailable: each.outUnavail,
    })
    expect(bounds(each).unavailable).toBe(each.maxUnavailable)
    expect(each.desired - bounds(each).unavailable).toBe(each.minAvailable)
  })
})

describe('size of the new ReplicaSet', () => {
  type Case = Strategy & { new: number; old: number; newRSNewReplicas: number; reconcileNew: number }
  test.for(recorded<Case>('reconcile_new'))('case $index', (each) => {
    expect(grownSize(bounds(each), each.new, each.new + each.old)).toBe(each.newRSNewReplicas)
    expect(nextNewSize(bounds(each), each.new, each.new + each.old)).toBe(each.reconcileNew)
  })
})

describe('shrinking old ReplicaSets', () => {
  type Case = Strategy & {
    new: RecordedSize
    olds: RecordedSize[]
    scaled: boolean
    sizes: Record<string, number>
  }
  test.for(recorded<Case>('reconcile_old'))('case $index', (each) => {
    const sizes = shrinkOld(bounds(each), each.olds, { ...each.new, created: 9 })
    expect(after(each.olds, sizes)).toEqual(each.sizes)
    expect(taken(each.olds, sizes) > 0).toBe(each.scaled)
  })
})

describe('cleaning up pods that do not work', () => {
  type Case = { maxCleanup: number; cleaned: number; olds: RecordedSize[]; sizes: Record<string, number> }
  test.for(recorded<Case>('cleanup_unhealthy'))('case $index', (each) => {
    const sizes = cleanUnhealthy(each.olds, each.maxCleanup)
    expect(after(each.olds, sizes)).toEqual(each.sizes)
    expect(taken(each.olds, sizes)).toBe(each.cleaned)
  })
})

describe('taking available pods', () => {
  type Case = Strategy & {
    newAvailable: number
    olds: RecordedSize[]
    scaledDown: number
    sizes: Record<string, number>
  }
  test.for(recorded<Case>('scale_down_old'))('case $index', (each) => {
    const sizes = scaleDownOld(bounds(each), each.olds, each.newAvailable)
    expect(after(each.olds, sizes)).toEqual(each.sizes)
    expect(taken(each.olds, sizes)).toBe(each.scaledDown)
  })
})

describe('scaling in proportion', () => {
  type Case = Strategy & {
    new: RecordedSize | null
    olds: RecordedSize[]
    oldDesired: number
    oldMaxReplicasAnnotation: number
    sizes: Record<string, number>
  }
  test.for(recorded<Case>('proportional_scale'))('case $index', (each) => {
    const annotated = (size: RecordedSize) => ({
      ...size,
      annotatedDesired: each.oldDesired,
      annotatedMax: each.oldMaxReplicasAnnotation,
    })
    const newSize = each.new ? annotated(each.new) : null
    const sizes = scaleInProportion(bounds(each), newSize, each.olds.map(annotated), 0)
    expect(after([...each.olds, ...(each.new ? [each.new] : [])], sizes)).toEqual(each.sizes)
  })
})
