import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Condition } from '../../../cluster/kinds.ts'
import { podConditions } from '../../../cluster/kubelet/conditions.ts'
import { expandVariables } from '../../../cluster/kubelet/expansion.ts'
import { podPhase } from '../../../cluster/kubelet/phase.ts'
import {
  advanceBackoff,
  type Backoff,
  backoffDelayMs,
  formatDelay,
  type LastSeen,
  shouldRestart,
} from '../../../cluster/kubelet/restart.ts'
import type { ContainerStatus, PodSpec } from '../../../cluster/pod-kinds.ts'

function vectors<T>(name: string): T[] {
  return JSON.parse(readFileSync(new URL(`../../fixtures/kubernetes/vectors/${name}.json`, import.meta.url), 'utf8'))
}

interface PhaseVector {
  containers: string[]
  init: string[]
  restartPolicy: 'Always' | 'OnFailure' | 'Never'
  phase: string
  containersReady: string
  ready: string
  initialized: string
}

/** `running-ready`, `term1`, `waiting-last0` … as a status; null where there is none. */
function statusOf(word: string, name: string, isInit: boolean): ContainerStatus | null {
  const base = { name, image: 'i', imageID: '', restartCount: 0 }
  const ended = (text: string) => ({ terminated: { exitCode: Number(text.slice(-1)) } })
  if (word === 'none') return null
  if (word.startsWith('term')) return { ...base, ready: isInit && word === 'term0', state: ended(word) }
  if (word.startsWith('running')) return { ...base, ready: !isInit && word === 'running-ready', state: { running: {} } }
  const last = word.startsWith('waiting-last') ? { lastState: ended(word) } : {}
  return { ...base, ready: false, state: { waiting: {} }, ...last }
}

describe('as the real kubelet', () => {
  test.for(vectors<PhaseVector>('pod_phase_conditions').map((vector, index) => ({ index, vector })))(
    'phase and conditions, case $index',
    ({ vector }) => {
      const spec: PodSpec = {
        restartPolicy: vector.restartPolicy,
        initContainers: vector.init.map((_, index) => ({ name: `i${index}`, image: 'i' })),
        containers: vector.containers.map((_, index) => ({ name: `c${index}`, image: 'i' })),
      }
      const statuses = {
        init: vector.init.flatMap((word, index) => statusOf(word, `i${index}`, true) ?? []),
        main: vector.containers.flatMap((word, index) => statusOf(word, `c${index}`, false) ?? []),
      }
      const phase = podPhase(spec, statuses)
      const conditions = podConditions(spec, statuses, phase)
      const shortOf = (type: string) => {
        const { status, reason = '' } = conditions.find((condition) => condition.type === type) as Condition
        return `${status}/${reason}`
      }
      const ready = conditions.find((condition) => condition.type === 'ContainersReady')
      expect({
        phase,
        initialized: shortOf('Initialized'),
        ready: shortOf('Ready'),
        containersReady: `${shortOf('ContainersReady')}/${ready?.message ?? ''}`,
      }).toEqual({
        phase: vector.phase,
        initialized: vector.initialized,
        ready: vector.ready,
        containersReady: vector.containersReady,
      })
    },
  )

  test.for(
    vectors<{
      deleting: boolean
      restart: boolean
      restartPolicy: 'Always' | 'OnFailure' | 'Never'
      state: string
    }>('should_restart'),
  )('restart of $state with $restartPolicy, deleting: $deleting', (vector) => {
    const seen = vector.state.startsWith('exit')
      ? { kind: 'exited' as const, exitCode: Number(vector.state.slice(4)) }
      : ({ kind: vector.state } as LastSeen)
    expect(shouldRestart(vector.restartPolicy, seen, vector.deleting)).toBe(vector.restart)
  })

  test.for(vectors<{ delaysBeforeEachRestart: number[]; ranForSeconds: number }>('crashloop_backoff'))(
    'back-off of a container that runs $ranForSeconds s',
    ({ delaysBeforeEachRestart, ranForSeconds }) => {
      let backoff: Backoff | null = null
      let nowMs = 0
      const delays = delaysBeforeEachRestart.map(() => {
        const endedAtMs = nowMs + ranForSeconds * 1000
        const delayMs = backoffDelayMs(backoff, endedAtMs)
        nowMs = endedAtMs + delayMs
        backoff = advanceBackoff(backoff, endedAtMs, nowMs)
        return delayMs / 1000
      })
      expect(delays).toEqual(delaysBeforeEachRestart)
    },
  )

  test.for(vectors<{ in: string; out: string }>('env_expansion'))('expands $in', (vector) => {
    const known = new Map([
      ['A', '1'],
      ['B', '$(A)'],
    ])
    expect(expandVariables(vector.in, (name) => known.get(name))).toBe(vector.out)
  })

  test.for([
    [10_000, '10s'],
    [80_000, '1m20s'],
    [160_000, '2m40s'],
    [300_000, '5m0s'],
  ] as const)('prints %i ms as %s', ([delayMs, text]) => expect(formatDelay(delayMs)).toBe(text))
})
