import { expect, test } from 'vitest'
import { startRedis } from '#test/redis'
import type { Deployment } from '../../cluster/kinds.ts'
import type { OpenObjects } from '../../cluster/open-objects.ts'
import { startCluster } from '../support/cluster.ts'

const ref = { kind: 'Deployment', namespace: 'default', name: 'web' } as const

const deployment = (image: string): Deployment & { kind: 'Deployment' } => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'default', generation: 1 },
  spec: {
    replicas: 4,
    selector: { matchLabels: { app: 'web' } },
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    progressDeadlineSeconds: 600,
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image }] } },
  },
})

async function untilRolledOut(objects: OpenObjects): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const look = () => {
    const current = objects.get('Deployment', 'default', 'web')
    const { updatedReplicas, availableReplicas, replicas, observedGeneration } = current?.status ?? {}
    const isSeen = observedGeneration === current?.metadata.generation
    if (isSeen && [updatedReplicas, availableReplicas, replicas].every((count) => count === 4)) resolve()
  }
  using _watching = objects.watch('Deployment', look)
  look()
  await promise
}

test('a rollout that a dead process left half done is finished by the next, with no pod too many', async () => {
  await using redis = await startRedis()
  {
    await using cluster = await startCluster({ url: redis.url })
    await cluster.objects.create(deployment('a'))
    await untilRolledOut(cluster.objects)
    // New pods do not become ready, so the rollout stands at one new pod when the process goes.
    cluster.nodes.becomesReady = (pod) => pod.spec.containers[0]?.image === 'a'
    const { promise, resolve } = Promise.withResolvers<void>()
    using _watching = cluster.objects.watch('Pod', ({ object }) => {
      if (object.spec.containers[0]?.image === 'b' && object.status?.podIP) resolve()
    })
    await cluster.objects.update(ref, (draft) => ({ ...draft, spec: deployment('b').spec }))
    await promise
  }
  await using cluster = await startCluster({ url: redis.url })
  let most = 0
  using _watching = cluster.objects.watch('Pod', () => {
    most = Math.max(most, cluster.objects.list('Pod').filter(({ metadata }) => !metadata.deletionTimestamp).length)
  })
  await cluster.nodes.refresh()
  await untilRolledOut(cluster.objects)
  expect(most).toBe(5)
  const pods = cluster.objects.list('Pod').filter(({ metadata }) => !metadata.deletionTimestamp)
  expect(pods.map(({ spec }) => spec.containers[0]?.image)).toEqual(['b', 'b', 'b', 'b'])
})
