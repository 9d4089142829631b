import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Pod } from '../../cluster/kinds.ts'
import type { Container, ContainerStatus, PodSpec } from '../../cluster/pod-kinds.ts'
import { isReady, podOf, startNode, type TestNode } from './cluster-node.ts'

/** What a real kubelet's pod said at a time, in the words of the recordings. */
interface Said {
  phase: string
  conds?: string
  reason?: string
  c?: { n: string; state: string; last?: string; ready: boolean; started?: boolean; rc: number }[]
}

let node: TestNode
beforeAll(async () => {
  node = await startNode('test-recorded')
})
afterAll(async () => {
  await node?.[Symbol.asyncDispose]()
})

function recorded(name: string): Said[] {
  const lines = JSON.parse(
    readFileSync(new URL(`../fixtures/kubernetes/kubelet/${name}.json`, import.meta.url), 'utf8'),
  )
  return (lines as (Said & { k: string; del?: number })[])
    .filter((line) => line.k === 'pod' && line.del === undefined)
    .map(({ phase, conds, reason, c }) => ({
      phase,
      ...(conds ? { conds } : {}),
      ...(reason ? { reason } : {}),
      ...(c ? { c } : {}),
    }))
}

function wordOf(state: ContainerStatus['state']): string {
  if (state?.running) return 'running'
  if (state?.waiting) return `wait(${state.waiting.reason})`
  const { exitCode, reason, message } = state?.terminated ?? {}
  return `term(${exitCode},${reason}${message ? `,msg=${message.trim()}` : ''})`
}

function say({ status }: Pod): Said {
  const conds = (status?.conditions ?? []).map(
    ({ type, status, reason }) => `${type}=${status}${reason ? `/${reason}` : ''}`,
  )
  return {
    phase: status?.phase ?? '',
    conds: conds.join(' '),
    c: (status?.containerStatuses ?? []).map((one) => ({
      n: one.name,
      state: wordOf(one.state),
      ...(one.lastState?.terminated ? { last: wordOf(one.lastState) } : {}),
      ready: one.ready,
      started: one.started ?? false,
      rc: one.restartCount,
    })),
  }
}

const sh = (script: string) => ({ command: ['sh', '-c', script] })
const nodeImage = () => ({ image: node.image })

describe('says what a real kubelet said', () => {
  test.for<[name: string, container: Partial<Container>, spec: Partial<PodSpec>]>([
    ['l11-never-ok', sh('sleep 0.5'), { restartPolicy: 'Never' }],
    ['l12-never-fail', sh('echo bye > /dev/termination-log; exit 4'), { restartPolicy: 'Never' }],
    [
      'l13-onfailure',
      { ...sh('[ -e /d/f ] && exit 0; touch /d/f; exit 1'), volumeMounts: [{ name: 'd', mountPath: '/d' }] },
      { restartPolicy: 'OnFailure', volumes: [{ name: 'd', emptyDir: {} }] },
    ],
    [
      'l24-readiness-initialdelay',
      { ...sh('sleep 60'), readinessProbe: { exec: { command: ['true'] }, initialDelaySeconds: 2, periodSeconds: 1 } },
      {},
    ],
    [
      'l05-startup',
      {
        ...sh('sleep 2; touch /tmp/up; sleep 60'),
        startupProbe: { exec: { command: ['cat', '/tmp/up'] }, periodSeconds: 1, failureThreshold: 30 },
        livenessProbe: { exec: { command: ['cat', '/tmp/up'] }, periodSeconds: 1, failureThreshold: 1 },
        readinessProbe: { exec: { command: ['true'] }, periodSeconds: 1 },
      },
      {},
    ],
  ])('%s', async ([name, container, spec]) => {
    const said: Said[] = []
    using _watch = node.objects.watch(
      'Pod',
      ({ object }) => void (object.metadata.name === name && said.push(say(object))),
    )
    await node.objects.create(
      podOf(name, { ...nodeImage(), ...container }, { terminationGracePeriodSeconds: 1, ...spec }),
    )
    const expected = recorded(name)
    const last = expected.at(-1)
    const pod = await node
      .untilPod(name, (pod) => JSON.stringify(say(pod)) === JSON.stringify(last))
      .catch(() => node.objects.get('Pod', 'default', name))
    expect(pod && say(pod)).toEqual(last)
    // The states of a recording all come, in their order; states that pass quickly may come between.
    const key = ({ phase, c }: Said) =>
      `${phase} ${c?.map(({ state, ready, started }) => `${state} ${ready} ${started}`).join(',')}`
    const wanted = expected.filter(({ c }) => c).map(key)
    const got = said.map(key)
    const found = wanted.filter((state) => state.includes('running')).every((state) => got.includes(state))
    expect(found, `${got.join('\n')}\nlacks one of\n${wanted.join('\n')}`).toBe(true)
    await node.objects.delete({ kind: 'Pod', namespace: 'default', name })
    await node.untilGone(name)
  })
})

test('a deadline ends the pod, as l21-deadline', async () => {
  await node.objects.create(
    podOf(
      'late',
      { ...nodeImage(), ...sh('exec sleep 60') },
      { activeDeadlineSeconds: 1, terminationGracePeriodSeconds: 1 },
    ),
  )
  const pod = await node.untilPod('late', ({ status }) => status?.phase === 'Failed')
  expect({ phase: pod.status?.phase, reason: pod.status?.reason }).toEqual(
    (({ phase, reason }) => ({ phase, reason }))(recorded('l21-deadline').at(-1) as Said),
  )
  expect(node.events('late')).toContain(
    'DeadlineExceeded: Pod was active on the node longer than the specified deadline',
  )
  await node.untilPod('late', ({ status }) => status?.containerStatuses?.[0]?.state?.terminated !== undefined)
  await node.objects.delete({ kind: 'Pod', namespace: 'default', name: 'late' })
  await node.untilGone('late')
})

test('preStop runs first, within the grace, as l07-prestop-ignore-term', async () => {
  const container = {
    ...nodeImage(),
    ...sh("trap 'echo told' TERM; while true; do sleep 0.1; done"),
    lifecycle: { preStop: { exec: { command: ['sh', '-c', 'echo stopping > /proc/1/fd/1; sleep 1'] } } },
  }
  await node.objects.create(podOf('hooked', container, { terminationGracePeriodSeconds: 3 }))
  await node.untilPod('hooked', isReady)
  const askedAtMs = Date.now()
  await node.objects.delete({ kind: 'Pod', namespace: 'default', name: 'hooked' })
  const ended = await node.untilPod(
    'hooked',
    ({ status }) => status?.containerStatuses?.[0]?.state?.terminated !== undefined,
  )
  expect(say(ended).c).toEqual([{ n: 'c', state: 'term(137,Error)', ready: false, started: false, rc: 0 }])
  await node.untilGone('hooked')
  expect(Date.now() - askedAtMs).toBeGreaterThan(2900)
  expect(Date.now() - askedAtMs).toBeLessThan(5500)
})

test('a container whose postStart fails is not kept, as l22-poststart-fail', async () => {
  const container = {
    ...nodeImage(),
    ...sh('exec sleep 60'),
    lifecycle: { postStart: { exec: { command: ['false'] } } },
  }
  await node.objects.create(podOf('unhooked', container, { terminationGracePeriodSeconds: 1 }))
  const reasons = new Set<string>()
  using _watch = node.objects.watch('Pod', ({ object }) => {
    const reason = object.status?.containerStatuses?.[0]?.state?.waiting?.reason
    if (object.metadata.name === 'unhooked' && reason) reasons.add(reason)
  })
  await node.untilPod(
    'unhooked',
    ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CrashLoopBackOff',
  )
  expect(reasons).toContain('PostStartHookError')
  expect(node.events('unhooked').some((text) => text.startsWith('FailedPostStartHook'))).toBe(true)
  await node.objects.delete({ kind: 'Pod', namespace: 'default', name: 'unhooked' })
  await node.untilGone('unhooked')
})

test('a removal by force removes the object at once, the container soon', async () => {
  await node.objects.create(podOf('forced', { ...nodeImage(), ...sh("trap '' TERM; while true; do sleep 0.1; done") }))
  await node.untilPod('forced', isReady)
  await node.objects.delete({ kind: 'Pod', namespace: 'default', name: 'forced' }, { gracePeriodSeconds: 0 })
  expect(node.objects.get('Pod', 'default', 'forced')).toBeNull()
  await node.objects.create(
    podOf('forced', { ...nodeImage(), ...sh('exec sleep 60') }, { terminationGracePeriodSeconds: 1 }),
  )
  await node.untilPod('forced', isReady)
  await node.objects.delete({ kind: 'Pod', namespace: 'default', name: 'forced' })
  await node.untilGone('forced')
})
