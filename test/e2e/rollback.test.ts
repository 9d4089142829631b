import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Rollout } from '#domain/rollout'
import { type RunningSlipway, startSlipway, type TestRepository, until } from '../support/slipway.ts'

const ENDED = ['succeeded', 'failed', 'rolled-back', 'superseded']

/** Pushes that must not go live, one after the other, to the Deployment of the demo. */
describe('a version that does not run', () => {
  let slipway: RunningSlipway
  let repository: TestRepository
  let appUrl: string
  const pushes: Promise<string>[] = []

  const version = (text: string, command = 'exec busybox httpd -f -p 8080 -h /www') => ({
    Dockerfile: `FROM busybox\nWORKDIR /www\nCOPY index.html .\nCMD ["busybox","sh","-c","${command}"]\n`,
    'index.html': text,
  })

  /** A push says how its rollout goes, and so takes as long; this one waits for its build only. */
  const push = async (files: Record<string, string>) => {
    await repository.write(files)
    const commit = await repository.commit(files['index.html'] ?? 'change')
    pushes.push(repository.push('--force'))
    return until('the build of the push', 20_000, async () =>
      (await slipway.builds('demo/hello')).find((build) => build.commit === commit && build.status === 'succeeded'),
    )
  }

  const rolloutOf = (build: { id: string }, states: readonly string[] = ENDED) =>
    until(`the rollout of ${build.id} to be ${states.join(' or ')}`, 60_000, async () => {
      const { body } = await slipway.api<{ items: Rollout[] }>('GET', '/api/v1/rollouts')
      return body.items.find((rollout) => rollout.build === build.id && states.includes(rollout.status))
    })

  const deployed = async () => JSON.parse(await slipway.kubectl('get', 'deployment', 'hello', '-o', 'json'))

  const eventsOf = async (build: { id: string }) => {
    const authorization = `Bearer ${slipway.token}`
    const response = await fetch(`${slipway.baseUrl}/api/v1/builds/${build.id}/events`, { headers: { authorization } })
    return response.text()
  }

  beforeAll(async () => {
    slipway = await startSlipway({ demo: true })
    appUrl = await until(
      'the address of the demo',
      60_000,
      async () => /(http:\/\/127\.0\.0\.1:\d+\/)/.exec(slipway.output().split('Running app')[1] ?? '')?.[0],
    )
    repository = await slipway.repository('demo/hello', version('version 1\n'))
    expect(await rolloutOf(await push(version('version 2\n')))).toMatchObject({ status: 'succeeded' })
  })
  afterAll(async () => {
    await Promise.all(pushes)
    await slipway?.[Symbol.asyncDispose]()
  })

  test('crashes: rolled back at once, with its exit code and last words, and no request is lost', async () => {
    const before = await deployed()
    await using client = startClient(appUrl)
    const build = await push(version('version 3\n', 'echo cannot find the database; exit 3'))
    const rollout = await rolloutOf(build)
    expect(rollout).toMatchObject({ status: 'rolled-back', replicas: { desired: 2, available: 2 } })
    expect(rollout.message).toMatch(/container hello of pod hello-\S+: CrashLoopBackOff.*exit code 3/)
    expect(rollout.message).toContain('cannot find the database')
    expect(rollout.message).toMatch(/Went back to \S+@sha256:[0-9a-f]{64}: 2 of 2 pods of it are available/)
    expect((rollout.finishedAtMs ?? 0) - (rollout.startedAtMs ?? 0)).toBeLessThan(10_000)
    expect(await eventsOf(build)).toMatch(/event: rollout-progressed\ndata: .*"rolled-back".*cannot find the database/)
    const after = await deployed()
    expect(imageOf(after)).toBe(imageOf(before))
    expect(after.status).toMatchObject({ replicas: 2, updatedReplicas: 2, availableReplicas: 2 })
    expect(await client.stop()).toEqual({ failed: [], bodies: ['version 2\n'] })
  })

  test('never becomes ready: rolled back after the deadline, with what its probe said', async () => {
    await slipway.kubectl('patch', 'deployment', 'hello', '-p', '{"spec":{"progressDeadlineSeconds":15}}')
    const before = await deployed()
    await using client = startClient(appUrl)
    const wrongPort = 'echo listening on 9090; exec busybox httpd -f -p 9090 -h /www'
    const build = await push(version('version 4\n', wrongPort))
    const rollout = await rolloutOf(build)
    expect(rollout).toMatchObject({ status: 'rolled-back', replicas: { desired: 2, available: 2 } })
    expect(rollout.message).toMatch(/no progress in 15 s; container hello of pod hello-\S+ is not ready/)
    expect(rollout.message).toMatch(/Readiness probe failed: .*ECONNREFUSED/)
    expect(rollout.message).toContain('listening on 9090')
    expect(imageOf(await deployed())).toBe(imageOf(before))
    expect(await client.stop()).toEqual({ failed: [], bodies: ['version 2\n'] })
  })

  test('a good version after them goes live', async () => {
    await using client = startClient(appUrl)
    const build = await push(version('version 5\n'))
    expect(await rolloutOf(build)).toMatchObject({ status: 'succeeded' })
    expect(await (await fetch(appUrl)).text()).toBe('version 5\n')
    expect(imageOf(await deployed())).toBe(`${build.image?.name}@${build.image?.digest}`)
    expect(await client.stop()).toMatchObject({ failed: [] })
  })

  test('of two quick pushes the newer one goes live, however broken the older is', async () => {
    const broken = await push(version('version 6\n', 'sleep 600'))
    await rolloutOf(broken, ['progressing'])
    const fixed = await push(version('version 7\n'))
    expect(await rolloutOf(fixed)).toMatchObject({ status: 'succeeded' })
    expect(await rolloutOf(broken)).toMatchObject({ status: 'superseded' })
    expect(await eventsOf(broken)).toMatch(/"superseded"/)
    expect(imageOf(await deployed())).toBe(`${fixed.image?.name}@${fixed.image?.digest}`)
    expect(await (await fetch(appUrl)).text()).toBe('version 7\n')
  })

  test('for a Deployment that is not there is built, and says what to do', async () => {
    const { body: project } = await slipway.api<{ rules: { deploy: object[] }[] }>('GET', '/api/v1/projects/demo/hello')
    const deploy = [{ namespace: 'default', deployment: 'missing', container: 'hello' }]
    const rules = project.rules.map((rule) => ({ ...rule, deploy }))
    expect((await slipway.api('PATCH', '/api/v1/projects/demo/hello', { rules })).status).toBe(200)
    const build = await push(version('version 8\n'))
    expect(await rolloutOf(build)).toMatchObject({
      status: 'failed',
      message: 'There is no Deployment default/missing: create it with kubectl apply',
    })
  })
})

function imageOf(deployment: { spec: { template: { spec: { containers: { image: string }[] } } } }) {
  return deployment.spec.template.spec.containers[0]?.image
}

/** Asks without a pause until stopped; every answer that is not 200 has failed. */
function startClient(url: string) {
  const failed: string[] = []
  const bodies = new Set<string>()
  const over = new AbortController()
  const asking = (async () => {
    while (!over.signal.aborted) {
      try {
        const response = await fetch(url, { headers: { connection: 'close' }, signal: AbortSignal.timeout(5000) })
        const body = await response.text()
        if (response.ok) bodies.add(body)
        else failed.push(`${response.status} ${body}`)
      } catch (error) {
        failed.push(error instanceof Error ? `${error.message}: ${String(error.cause)}` : String(error))
      }
    }
  })()
  const stop = async () => {
    over.abort()
    await asking
    return { failed, bodies: [...bodies] }
  }
  return { stop, [Symbol.asyncDispose]: async () => void (await stop()) }
}
