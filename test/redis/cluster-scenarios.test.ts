import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Bell } from '#host/bell'
import type { Deployment, ReplicaSet } from '../../cluster/kinds.ts'
import { startCluster, type TestCluster } from '../support/cluster.ts'

/**
 * What a real controller manager (1.20, whose decisions have not changed since) did in the same steps: sizes of each
 * ReplicaSet, what the Deployment said of itself, and revisions, in their order. Times and repetitions are left out.
 */
let cluster: TestCluster
beforeAll(async () => {
  cluster = await startCluster()
})
afterAll(() => cluster[Symbol.asyncDispose]())
beforeEach(() => {
  cluster.nodes.readyAfterMs = 400
  cluster.nodes.becomesReady = (pod) => !pod.spec.containers[0]?.image.startsWith('never')
})

const CREATED = 'True/NewReplicaSetCreated'
const UPDATED = 'True/ReplicaSetUpdated'
const AVAILABLE = 'True/NewReplicaSetAvailable'
const EXCEEDED = 'False/ProgressDeadlineExceeded'

function manifest(name: string, spec: object): string {
  const labels = { app: name }
  return JSON.stringify({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i:1' }] } },
      ...spec,
    },
  })
}

/** Notes every change of a Deployment and its ReplicaSets from now on. */
function record(name: string) {
  const sizes = new Map<string, number[]>()
  const said = { Progressing: [] as string[], Available: [] as string[] }
  const revisions: string[] = []
  const scalings: string[] = []
  const bell = new Bell()
  const add = <T>(list: T[], value: T | undefined) => {
    if (value !== undefined && list.at(-1) !== value) list.push(value)
  }
  const short = (set: string) => {
    if (!sizes.has(set)) sizes.set(set, [])
    return `RS${[...sizes.keys()].indexOf(set) + 1}`
  }
  const onSet = ({ metadata, spec }: ReplicaSet) => {
    short(metadata.name)
    add(sizes.get(metadata.name) ?? [], spec.replicas)
  }
  const onDeployment = (deployment: Deployment) => {
    add(revisions, deployment.metadata.annotations?.['deployment.kubernetes.io/revision'])
    for (const type of ['Progressing', 'Available'] as const) {
      const condition = deployment.status?.conditions?.find((each) => each.type === type)
      if (condition) add(said[type], `${condition.status}/${condition.reason}`)
    }
  }
  const watches = [
    cluster.objects.watch('ReplicaSet', ({ object }) => {
      if (object.metadata.labels?.['app'] === name) onSet(object)
      bell.ring()
    }),
    cluster.objects.watch('Deployment', ({ object }) => {
      if (object.metadata.name === name) onDeployment(object)
      bell.ring()
    }),
    cluster.objects.watch('Event', ({ object }) => {
      const { involvedObject, message } = object
      if (involvedObject.kind !== 'Deployment' || involvedObject.name !== name) return
      const [, direction, set, to] = /^Scaled (up|down) replica set (\S+) from \d+ to (\d+)$/.exec(message) ?? []
      scalings.push(`${direction} ${short(set ?? '')} ${to}`)
    }),
  ]
  return {
    sizes: () => [...sizes.values()],
    said,
    revisions,
    scalings,
    /** Resolves with the change that makes it so. */
    until: async (isSo: () => boolean) => {
      while (!isSo()) await bell.wait(AbortSignal.timeout(20_000))
    },
    says: async (wanted: string) => {
      while (said.Progressing.at(-1) !== wanted) await bell.wait(AbortSignal.timeout(20_000))
    },
    [Symbol.dispose]: () => {
      for (const watch of watches) watch[Symbol.dispose]()
    },
  }
}

const create = (name: string, spec: object) => cluster.kubectl(['apply', '-f', '-'], { input: manifest(name, spec) })
const setImage = (name: string, image: string) => cluster.kubectl(['set', 'image', `deployment/${name}`, `c=${image}`])

describe.concurrent('a Deployment does what a recorded one did', () => {
  test('three replicas, a quarter at a time', async () => {
    using seen = record('three')
    await create('three', { replicas: 3 })
    await seen.says(AVAILABLE)
    await setImage('three', 'i:2')
    await seen.says(UPDATED)
    await seen.says(AVAILABLE)
    expect(seen.sizes()).toEqual([
      [3, 2, 1, 0],
      [1, 2, 3],
    ])
    expect(seen.said.Progressing).toEqual([CREATED, UPDATED, AVAILABLE, CREATED, UPDATED, AVAILABLE])
    expect(seen.said.Available).toEqual(['False/MinimumReplicasUnavailable', 'True/MinimumReplicasAvailable'])
    expect(seen.revisions).toEqual(['1', '2'])
    expect(seen.scalings).toEqual([
      'up RS1 3',
      'up RS2 1',
      'down RS1 2',
      'up RS2 2',
      'down RS1 1',
      'up RS2 3',
      'down RS1 0',
    ])
  })

  test('Recreate', async () => {
    using seen = record('again')
    await create('again', { replicas: 3, strategy: { type: 'Recreate' } })
    await seen.says(AVAILABLE)
    await setImage('again', 'i:2')
    await seen.says(UPDATED)
    await seen.says(AVAILABLE)
    expect(seen.sizes()).toEqual([[3, 0], [3]])
    expect(seen.said.Progressing.slice(-3)).toEqual([CREATED, UPDATED, AVAILABLE])
    const [no, yes] = ['False/MinimumReplicasUnavailable', 'True/MinimumReplicasAvailable']
    expect(seen.said.Available).toEqual([no, yes, no, yes])
    expect(seen.scalings).toEqual(['up RS1 3', 'down RS1 0', 'up RS2 3'])
  })

  test('a deadline that passes, and undo', async () => {
    using seen = record('late')
    await create('late', { replicas: 4, progressDeadlineSeconds: 2 })
    await seen.says(AVAILABLE)
    await setImage('late', 'never:2')
    await seen.says(EXCEEDED)
    await cluster.kubectl(['rollout', 'undo', 'deployment/late', '--to-revision=1'])
    await seen.says(AVAILABLE)
    expect(seen.sizes()).toEqual([
      [4, 3, 4],
      [1, 2, 0],
    ])
    expect(seen.said.Progressing).toEqual([CREATED, UPDATED, AVAILABLE, CREATED, UPDATED, EXCEEDED, UPDATED, AVAILABLE])
    expect(seen.said.Available).toEqual(['False/MinimumReplicasUnavailable', 'True/MinimumReplicasAvailable'])
    expect(seen.revisions).toEqual(['1', '2', '3'])
    expect(seen.scalings).toEqual(['up RS1 4', 'up RS2 1', 'down RS1 3', 'up RS2 2', 'down RS2 0', 'up RS1 4'])
    const { items } = JSON.parse((await cluster.kubectl(['get', 'rs', '-l', 'app=late', '-o', 'json'])).stdout)
    const annotations = items.map(
      (set: { metadata: { annotations: Record<string, string> } }) => set.metadata.annotations,
    )
    expect(annotations).toContainEqual(
      expect.objectContaining({
        'deployment.kubernetes.io/revision': '3',
        'deployment.kubernetes.io/revision-history': '1',
        'deployment.kubernetes.io/desired-replicas': '4',
        'deployment.kubernetes.io/max-replicas': '5',
      }),
    )
  })

  test('a third version while the second is on its way', async () => {
    using seen = record('over')
    await create('over', { replicas: 6 })
    await seen.says(AVAILABLE)
    await setImage('over', 'never:2')
    await seen.until(() => seen.sizes()[1]?.at(-1) === 3)
    await setImage('over', 'i:3')
    await seen.until(() => seen.revisions.at(-1) === '3')
    await seen.says(AVAILABLE)
    expect(seen.scalings.slice(0, 6)).toEqual([
      'up RS1 6',
      'up RS2 2',
      'down RS1 5',
      'up RS2 3',
      'down RS2 0',
      'up RS3 3',
    ])
    // From here on, which pod is ready first decides.
    const [first = [], second, third = []] = seen.sizes()
    expect(second).toEqual([2, 3, 0])
    expect([first.slice(0, 2), first.at(-1), third.slice(0, 2), third.at(-1)]).toEqual([[6, 5], 0, [0, 3], 6])
    expect(first).toEqual(first.toSorted((a, b) => b - a))
    expect(third).toEqual(third.toSorted((a, b) => a - b))
    expect(seen.said.Progressing).toEqual([CREATED, UPDATED, AVAILABLE, CREATED, UPDATED, CREATED, UPDATED, AVAILABLE])
    expect(seen.revisions).toEqual(['1', '2', '3'])
  })

  test('pods count only after minReadySeconds', async () => {
    using seen = record('patient')
    await create('patient', { replicas: 2, minReadySeconds: 2 })
    const startedAt = performance.now()
    await seen.says(AVAILABLE)
    await setImage('patient', 'i:2')
    await seen.says(UPDATED)
    await seen.says(AVAILABLE)
    // Three times a pod had to be ready for more than two seconds, by timestamps of whole seconds.
    expect(performance.now() - startedAt).toBeGreaterThan(4500)
    expect(seen.sizes()).toEqual([
      [2, 1, 0],
      [1, 2],
    ])
    expect(seen.said.Progressing).toEqual([CREATED, UPDATED, AVAILABLE, CREATED, UPDATED, AVAILABLE])
  })

  test('scaling in the middle of a rollout, by proportion', async () => {
    using seen = record('scaled')
    const last = () => seen.sizes().map((each) => each.at(-1))
    const scaleTo = async (replicas: number, sizes: number[]) => {
      await cluster.kubectl(['scale', 'deployment/scaled', `--replicas=${replicas}`])
      await seen.until(() => JSON.stringify(last()) === JSON.stringify(sizes))
    }
    await create('scaled', { replicas: 10, strategy: { rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } } })
    await seen.says(AVAILABLE)
    await setImage('scaled', 'never:2')
    await seen.until(() => JSON.stringify(last()) === '[8,5]')
    await scaleTo(15, [11, 7])
    await scaleTo(5, [3, 5])
    await scaleTo(0, [0, 0])
    await scaleTo(3, [0, 3])
    expect(seen.sizes()).toEqual([
      [10, 8, 11, 5, 3, 0],
      [3, 5, 7, 3, 5, 0, 3],
    ])
  })

  test('paused, changed and scaled, and resumed', async () => {
    using seen = record('paused')
    await create('paused', { replicas: 3 })
    await seen.says(AVAILABLE)
    await cluster.kubectl(['rollout', 'pause', 'deployment/paused'])
    await seen.says('Unknown/DeploymentPaused')
    await setImage('paused', 'i:2')
    await cluster.kubectl(['scale', 'deployment/paused', '--replicas=5'])
    await seen.until(() => seen.sizes()[0]?.at(-1) === 5)
    expect(seen.sizes()).toEqual([[3, 5]])
    await cluster.kubectl(['rollout', 'resume', 'deployment/paused'])
    await seen.says(AVAILABLE)
    const [first = [], second = []] = seen.sizes()
    // After the first steps, which pod is ready first decides.
    expect([first.slice(0, 3), first.at(-1), second[0], second.at(-1)]).toEqual([[3, 5, 4], 0, 2, 5])
    expect(seen.said.Progressing.slice(3, 5)).toEqual(['Unknown/DeploymentPaused', 'Unknown/DeploymentResumed'])
    expect(seen.said.Progressing.slice(-2)).toEqual([UPDATED, AVAILABLE])
  })
})
