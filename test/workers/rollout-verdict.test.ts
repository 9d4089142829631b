import { expect, test } from 'vitest'
import type { Deployment, Pod } from '../../workers/kubernetes.ts'
import { judgeRollout } from '../../workers/rollout-verdict.ts'

const image = 'registry.test/acme/web@sha256:1'

function deploymentOf(status: object, generation = 2): Deployment {
  return {
    metadata: { name: 'web', generation },
    spec: { replicas: 3, selector: {}, template: {}, progressDeadlineSeconds: 60 },
    status: { observedGeneration: 2, ...status },
  }
}

type State = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number]

function podOf(status: Partial<State>, podImage = image, deletionTimestamp?: Date): Pod {
  const container = { name: 'web', image: podImage }
  return {
    metadata: { name: 'web-1', ...(deletionTimestamp ? { deletionTimestamp } : {}) },
    spec: { containers: [container] },
    status: { containerStatuses: [{ ...container, imageID: '', ready: false, restartCount: 0, ...status }] },
  }
}

test.for([
  [{}, 3, 'progressing', /see the change/],
  [{ updatedReplicas: 1, replicas: 4, availableReplicas: 3 }, 2, 'progressing', /1 of 3 new pods started/],
  [{ updatedReplicas: 3, replicas: 4, availableReplicas: 2 }, 2, 'progressing', /2 of 3 new pods are available/],
  [{ updatedReplicas: 3, replicas: 4, availableReplicas: 4 }, 2, 'progressing', /old pods that have to end: 1/],
  [{ updatedReplicas: 3, replicas: 3, availableReplicas: 3, readyReplicas: 3 }, 2, 'done', /3 of 3/],
] as const)('%j at generation %d is %s', ([status, generation, kind, message]) => {
  const verdict = judgeRollout(deploymentOf(status, generation), [], image)
  expect(verdict).toMatchObject({ kind, message: expect.stringMatching(message) })
})

test('a passed progress deadline is a failure', () => {
  const conditions = [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }]
  expect(judgeRollout(deploymentOf({ conditions }), [], image)).toMatchObject({
    kind: 'failed',
    message: 'no progress in 60 s',
  })
})

test('a deadline that had passed before the rollout began is not its own', () => {
  const condition = { type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }
  const at = (second: number) =>
    deploymentOf({ conditions: [{ ...condition, lastTransitionTime: new Date(second * 1000) }] })
  expect(judgeRollout(at(1), [], image, at(1)).kind).toBe('progressing')
  expect(judgeRollout(at(2), [], image, at(1)).kind).toBe('failed')
})

test('a passed deadline names a container that is not ready, and what the cluster refused', () => {
  const conditions = [
    { type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' },
    { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'exceeded quota' },
  ]
  expect(judgeRollout(deploymentOf({ conditions }), [podOf({ state: { running: {} } })], image)).toMatchObject({
    message: 'no progress in 60 s: exceeded quota',
    culprit: { pod: 'web-1', container: 'web', isPrevious: false },
  })
})

const ended = { exitCode: 7, reason: 'Error' }

test.for([
  [
    'crash loop',
    { state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: { terminated: ended } },
    /CrashLoopBackOff, exit code 7 \(Error\)/,
  ],
  [
    'restarts',
    { restartCount: 2, state: { running: {} }, lastState: { terminated: ended } },
    /restarted 2 times, exit code 7/,
  ],
  ...['ErrImagePull', 'ImagePullBackOff', 'CreateContainerConfigError', 'RunContainerError'].map(
    (reason) =>
      [reason, { state: { waiting: { reason, message: 'not found' } } }, new RegExp(`${reason}: not found`)] as const,
  ),
] as const)('a new pod’s %s is a failure at once', ([, status, message]) => {
  expect(judgeRollout(deploymentOf({}), [podOf(status)], image)).toMatchObject({
    kind: 'failed',
    message: expect.stringMatching(message),
  })
})

test.for([
  ['waits for its image', podOf({ state: { waiting: { reason: 'ContainerCreating' } } })],
  ['restarted once', podOf({ restartCount: 1 })],
  ['is of the old image', podOf({ state: { waiting: { reason: 'CrashLoopBackOff' } } }, 'registry.test/old')],
  ['is being deleted', podOf({ state: { waiting: { reason: 'CrashLoopBackOff' } } }, image, new Date(0))],
] as const)('a pod that %s is none', ([, pod]) => {
  expect(judgeRollout(deploymentOf({}), [pod], image).kind).toBe('progressing')
})
