import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ProjectName, RolloutId } from '#domain/ids'
import type { Rollout } from '#domain/rollout'
import { newId } from '#host/new-id'
import type { Store } from '#store/contract'
import { openStore } from '#store/open-store'
import type { Deployment } from '../../../cluster/kinds.ts'
import { openCluster } from '../../../workers/kubernetes.ts'
import { runRollout } from '../../../workers/run-rollout.ts'
import { noSecrets, orderOf, projectOf, workerId } from '../../core/store/orders.ts'
import { startCluster, type TestCluster } from '../../support/cluster.ts'
import { startRedis, type TestRedis } from '../../support/redis.ts'
import { digestOf } from './fake-build.ts'

let redis: TestRedis
let store: Store
let cluster: TestCluster
let project: ProjectName

beforeAll(async () => {
  redis = await startRedis()
  store = await openStore(redis.url)
  cluster = await startCluster()
  project = (await store.projects.create(projectOf('acme/web'), noSecrets)).name
})
afterAll(async () => {
  await cluster[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
  await redis[Symbol.asyncDispose]()
})

const forever = new AbortController().signal

/** Creates a Deployment as a user would, and waits for the cluster to have started it. */
async function deploy(name: string, deadlineS: number): Promise<void> {
  const labels = { app: name }
  await cluster.objects.create({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'default' },
    spec: {
      replicas: 2,
      progressDeadlineSeconds: deadlineS,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'web', image: 'registry.test/web:1' }] } },
    },
  } as unknown as Deployment)
  await expect.poll(() => cluster.objects.get('Deployment', 'default', name)?.status?.availableReplicas).toBe(2)
}

async function rollOut(deployment: string): Promise<Rollout> {
  const [build] = await store.builds.enqueue([orderOf(project)], 1)
  const digest = digestOf(build!.id)
  const { rollout } = await store.rollouts.request({
    id: RolloutId.parse(newId('rol')),
    project,
    build: build!.id,
    target: { namespace: 'default', deployment, container: 'web' },
    image: `registry.test/web@${digest}`,
    digest,
    status: 'pending',
    message: '',
    replicas: { desired: 0, updated: 0, ready: 0, available: 0 },
    requestedAtMs: 1,
    startedAtMs: null,
    finishedAtMs: null,
  })
  const claimed = (await store.rollouts.claim(workerId(), 60_000, 1))!
  const deps = { store, openCluster: () => openCluster(cluster.kubeconfig), now: Date.now, soakMs: 0 }
  await runRollout(deps, claimed, forever)
  return (await store.rollouts.get(rollout.id))!
}

function imagesOf(name: string): (string | undefined)[] {
  const pods = cluster.objects.list('Pod').filter((pod) => pod.metadata.labels?.['app'] === name)
  return [...new Set(pods.map((pod) => pod.spec.containers[0]?.image))]
}

test('a rollout through the Kubernetes client goes live', async () => {
  await deploy('live', 60)
  const rollout = await rollOut('live')
  expect(rollout).toMatchObject({ status: 'succeeded', replicas: { desired: 2, updated: 2, available: 2 } })
  // Pods that are on their way out do not count for Kubernetes, but they take a moment to be gone.
  await expect.poll(() => imagesOf('live')).toEqual([rollout.image])
})

test('pods that never get ready are rolled back at the Deployment’s deadline', async () => {
  await deploy('stuck', 1)
  cluster.nodes.becomesReady = (pod) => !pod.spec.containers[0]?.image?.includes('@')
  const rollout = await rollOut('stuck')
  expect(rollout).toMatchObject({ status: 'rolled-back', message: expect.stringContaining('no progress in 1 s') })
  await expect.poll(() => imagesOf('stuck')).toEqual(['registry.test/web:1'])
})

test('what is not there is null, and a refusal says what the server said', async () => {
  const client = await openCluster(cluster.kubeconfig)
  expect(await client.getDeployment('default', 'nothing', forever)).toBeNull()
  const patch = { spec: { replicas: 'many' } }
  await expect(client.patchDeployment('default', 'live', patch, forever)).rejects.toMatchObject({ kind: 'invalid' })
})

test('a cluster that is not there is unavailable', async () => {
  await expect(openCluster('/nonexistent/kubeconfig')).rejects.toMatchObject({ kind: 'unavailable' })
})
