import { expect, test } from 'vitest'
import type { Rollout } from '#domain/rollout'
import { countHost, startSlipway, until } from '../support/slipway.ts'

interface Readiness {
  ready: boolean
  parts: Record<string, { ready: boolean; reason: string }>
}

test('kill -9 of the cluster during a rollout: pods come back, the rollout ends, the Service answers, nothing is left', async () => {
  await using slipway = await startSlipway({ demo: true })
  const appUrl = await until(
    'the address of the demo',
    60_000,
    async () => /(http:\/\/127\.0\.0\.1:\d+\/)/.exec(slipway.output().split('Running app')[1] ?? '')?.[0],
  )
  const pods = async (): Promise<{ metadata: { name: string; deletionTimestamp?: string } }[]> =>
    JSON.parse(await slipway.kubectl('get', 'pods', '-o', 'json')).items
  await until('the demo to have settled', 40_000, async () => (await pods()).length === 2)
  const idle = await countHost(slipway.dataDir)
  const endedRollout = async () =>
    until('the rollout to end', 60_000, async () => {
      const { body } = await slipway.api<{ items: Rollout[] }>('GET', '/api/v1/rollouts')
      return body.items.length > 1 && body.items[0]?.finishedAtMs ? body.items[0] : null
    })
  const readiness = async () => (await slipway.api<Readiness>('GET', '/readyz')).body

  const repository = await slipway.repository('demo/hello', {
    // Long enough in coming up for the kill to find a pod that is not ready.
    Dockerfile:
      'FROM busybox\nWORKDIR /www\nCOPY index.html .\nCMD ["busybox","sh","-c","sleep 2; exec busybox httpd -f -p 8080 -h /www"]\n',
    'index.html': 'after the kill\n',
  })
  const pushing = repository.push('--force')
  await until('a pod of the new version', 30_000, async () => (await pods()).length > 2)
  const killed = await slipway.pidOf('cluster')
  process.kill(killed, 'SIGKILL')
  await until('/readyz to say so', 10_000, async () => {
    const { ready, parts } = await readiness()
    return !ready && parts['cluster']?.ready === false
  })

  const rollout = await endedRollout()
  expect(rollout, rollout.message).toMatchObject({ status: 'succeeded', replicas: { desired: 2, available: 2 } })
  await pushing
  expect(await slipway.pidOf('cluster')).not.toBe(killed)
  expect((await readiness()).parts['cluster']).toMatchObject({ ready: true })
  expect(await (await fetch(appUrl)).text()).toBe('after the kill\n')
  // The old program is process 1 and heeds no SIGTERM: it ends with its grace, which may be made shorter.
  const ending = (await pods()).filter((pod) => pod.metadata.deletionTimestamp).map((pod) => pod.metadata.name)
  if (ending.length > 0) await slipway.kubectl('delete', 'pods', '--grace-period=1', ...ending)
  expect(await pods()).toHaveLength(2)
  await until(
    'the host to be as before',
    20_000,
    async () => JSON.stringify(await countHost(slipway.dataDir)) === JSON.stringify(idle),
  ).catch(() => {})
  expect(await countHost(slipway.dataDir)).toEqual(idle)
})
