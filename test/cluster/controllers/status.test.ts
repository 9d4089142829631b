import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { rolloutStatus } from '../../../cluster/controllers/deployment-status.ts'
import { membershipOf } from '../../../cluster/controllers/endpoints.ts'
import { compareForDeletion, isAvailable } from '../../../cluster/controllers/pod-order.ts'
import type { Condition, Deployment, IntOrString, Pod, ReplicaSet } from '../../../cluster/kinds.ts'

function recorded<T>(name: string): (T & { index: number })[] {
  const url = new URL(`../../fixtures/kubernetes/${name}.json`, import.meta.url)
  return (JSON.parse(readFileSync(url, 'utf8')) as T[]).map((each, index) => ({ ...each, index }))
}

interface Counts {
  available: number
  ready: number
  spec: number
  status: number
  failure?: boolean
}
interface StatusCase {
  desired: number
  generation: number
  surge: IntOrString
  unavail: IntOrString
  progressDeadlineSeconds: number | null
  progressingAgeSeconds: number
  newRS: Counts
  oldRS: Counts
  prev: { available: number; ready: number; replicas: number; updated: number; conditions: string[] }
  /** Null where nothing is written, since nothing changes. */
  out: (Record<string, number | string[]> & { conditions: string[] }) | null
}

const NOW = Date.parse('2026-01-01T00:10:00Z')

/** `Available=True/MinimumReplicasAvailable` as a condition. */
function toCondition(text: string, ageSeconds: number): Condition {
  const [type = '', rest = ''] = text.split('=')
  const [status, reason = ''] = rest.split('/')
  const at = new Date(NOW - ageSeconds * 1000).toISOString()
  return { type, status: status as 'True', reason, lastUpdateTime: at, lastTransitionTime: at }
}

function toSet(name: string, counts: Counts): ReplicaSet {
  const failure = { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate' } as const
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name },
    spec: { replicas: counts.spec, selector: {}, template: { spec: { containers: [] } } },
    status: {
      replicas: counts.status,
      readyReplicas: counts.ready,
      availableReplicas: counts.available,
      ...(counts.failure ? { conditions: [failure] } : {}),
    },
  }
}

describe('status of a rollout', () => {
  test.for(recorded<StatusCase>('rollout_status'))('case $index', (each) => {
    const { prev, progressDeadlineSeconds } = each
    const deployment: Deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'd', generation: each.generation },
      spec: {
        replicas: each.desired,
        selector: {},
        template: { spec: { containers: [] } },
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: each.surge, maxUnavailable: each.unavail } },
        ...(progressDeadlineSeconds === null ? {} : { progressDeadlineSeconds }),
      },
      status: {
        replicas: prev.replicas,
        updatedReplicas: prev.updated,
        readyReplicas: prev.ready,
        availableReplicas: prev.available,
        conditions: prev.conditions.map((text) => toCondition(text, each.progressingAgeSeconds)),
      },
    }
    const unchanged = { ...prev, unavailable: 0, observedGeneration: each.generation }
    const expected = each.out ?? unchanged
    const newSet = toSet('new', each.newRS)
    const status = rolloutStatus(deployment, newSet, [toSet('old', each.oldRS), newSet], NOW)
    expect({
      available: status.availableReplicas ?? 0,
      ready: status.readyReplicas ?? 0,
      replicas: status.replicas ?? 0,
      unavailable: status.unavailableReplicas ?? 0,
      updated: status.updatedReplicas ?? 0,
      observedGeneration: status.observedGeneration,
      conditions: (status.conditions ?? []).map(({ type, status, reason }) => `${type}=${status}/${reason}`).sort(),
    }).toEqual({ ...expected, conditions: expected.conditions.toSorted() })
  })
})

function toPod(status: NonNullable<Pod['status']>, metadata: Partial<Pod['metadata']> = {}): Pod {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', ...metadata }, spec: { containers: [] }, status }
}

describe('availability of a pod', () => {
  type Case = { available: boolean; minReadySeconds: number; ready: string; readyForSeconds: number }
  test.for(recorded<Case>('pod_available'))('$ready for $readyForSeconds s of $minReadySeconds', (each) => {
    const lastTransitionTime = new Date(NOW - each.readyForSeconds * 1000).toISOString()
    const conditions = [{ type: 'Ready', status: each.ready as 'True', lastTransitionTime }]
    expect(isAvailable(toPod({ conditions }), each.minReadySeconds, NOW)).toBe(each.available)
  })
})

describe('order in which pods are deleted', () => {
  interface RecordedPod {
    name: string
    node: string
    phase: string
    rank: number
    restarts: number
    ageSeconds: number
    readyForSeconds?: number
  }
  test.for(recorded<{ deleteOrder: string[]; pods: RecordedPod[] }>('pod_delete_order'))('case $index', (each) => {
    const ranks = each.pods.map((pod) => ({
      name: pod.name,
      node: pod.node,
      phase: pod.phase,
      isReady: pod.readyForSeconds !== undefined,
      readySince: pod.readyForSeconds === undefined ? null : NOW - pod.readyForSeconds * 1000,
      restarts: pod.restarts,
      created: NOW - pod.ageSeconds * 1000,
      neighbours: pod.rank,
    }))
    expect(ranks.sort(compareForDeletion).map(({ name }) => name)).toEqual(each.deleteOrder)
  })
})

describe('membership in a Service', () => {
  type Case = {
    deleting: boolean
    endpoint: string
    hasIP: boolean
    phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed'
    publishNotReady: boolean
    ready: boolean
    restartPolicy: string
  }
  // The recording is of a release that let pods that ended stay, if they could be restarted; since 1.22 they never do.
  const isOver = ({ phase }: Case) => phase === 'Succeeded' || phase === 'Failed'
  test.for(recorded<Case>('endpoints_membership'))('case $index', (each) => {
    const pod = toPod(
      {
        phase: each.phase,
        conditions: [{ type: 'Ready', status: each.ready ? 'True' : 'False' }],
        ...(each.hasIP ? { podIP: '10.0.0.1' } : {}),
      },
      each.deleting ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {},
    )
    expect(membershipOf(pod, each.publishNotReady)).toBe(isOver(each) ? 'none' : each.endpoint)
  })
})
