import { createHmac, randomUUID } from 'node:crypto'
import { mkdtempDisposable, readFile, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Delivery } from '#domain/delivery'
import { run } from '#host/exec'
import {
  countHost,
  type HostCounts,
  type RunningSlipway,
  startSlipway,
  type TestRepository,
  until,
} from '../support/slipway.ts'

/** The road of one push through every room, on a machine of its own, in the order a person walks it. */
describe('a git push goes live', () => {
  let before: HostCounts
  let slipway: RunningSlipway
  let repository: TestRepository

  const dockerfile =
    'FROM busybox\nARG GREETING=hello\nWORKDIR /www\nRUN echo "building $GREETING" && seq 1 3\nCOPY index.html .\nEXPOSE 8080\nCMD ["busybox","httpd","-f","-p","8080","-h","/www"]\n'

  beforeAll(async () => {
    before = await countHost('/slipway-e2e-')
    slipway = await startSlipway({ demo: true })
    repository = await slipway.repository('check/web', { Dockerfile: dockerfile, 'index.html': 'version 1\n' })
  })

  afterAll(async () => {
    await slipway?.[Symbol.asyncDispose]()
  })

  test('the demo app answers', async () => {
    const url = await until(
      'the address of the demo',
      120_000,
      async () => /(http:\/\/127\.0\.0\.1:\d+\/)/.exec(slipway.output().split('Running app')[1] ?? '')?.[0],
    )
    expect(await (await fetch(url)).text()).toContain('Hello from Slipway')
  })

  test('admin token and kubeconfig are private', async () => {
    for (const name of ['admin-token', 'kubeconfig'])
      expect((await stat(join(slipway.dataDir, name))).mode & 0o777).toBe(0o600)
  })

  test.for(['/api/v1/projects', '/v2/_catalog', '/git/check/web.git/info/refs?service=git-receive-pack'])(
    '%s needs a token',
    async (path) => {
      expect((await fetch(slipway.baseUrl + path)).status).toBe(401)
    },
  )

  test('a push builds and shows its log to the pusher', async () => {
    const said = await repository.push()
    expect(said).toMatch(/remote:.*building hello/)
    const build = await slipway.build('check/web', 1)
    expect(build).toMatchObject({ status: 'succeeded', error: null, tags: ['latest', build.commit] })
  })

  test('raw log and event stream say the same', async () => {
    const build = await slipway.build('check/web', 1)
    const log = await slipway.api<string>('GET', `/api/v1/builds/${build.id}/log`)
    expect(log.body).toContain('building hello')
    const events = await fetch(`${slipway.baseUrl}/api/v1/builds/${build.id}/events`, {
      headers: { authorization: `Bearer ${slipway.token}` },
    })
    const stream = await events.text()
    expect(stream).toContain('building hello')
    expect(stream).toMatch(/event: eof/)
  })

  test('skopeo pulls and verifies the image', async () => {
    await using work = await mkdtempDisposable(join(tmpdir(), 'slipway-pull-'))
    const credentials = ['--src-tls-verify=false', '--src-creds', `any:${slipway.token}`]
    await run('skopeo', [
      'copy',
      ...credentials,
      `docker://${slipway.host}/check/web:latest`,
      `oci:${work.path}/image:latest`,
    ])
    const index = JSON.parse(await readFile(join(work.path, 'image', 'index.json'), 'utf8'))
    const build = await slipway.build('check/web', 1)
    expect(index.manifests[0].digest).toBe(build.image?.digest)
  })

  test('an unchanged rebuild is all cached and has the same digest', async () => {
    const first = await slipway.build('check/web', 1)
    await slipway.api('POST', '/api/v1/projects/check/web/builds', { ref: 'refs/heads/main' })
    const second = await slipway.build('check/web', 2)
    expect(second.steps.filter((step) => /^(RUN|COPY|WORKDIR)/.test(step.title) && !step.cached)).toEqual([])
    expect(second.image).toEqual(first.image)
  })

  test('a signed webhook is asked for, and wrong ones are shown', async () => {
    const secret = 's3cret-s3cret'
    await slipway.api('PATCH', '/api/v1/projects/check/web', { webhookSecret: secret })
    const body = JSON.stringify({ zen: 'x', hook_id: 1 })
    const post = (signature?: string) =>
      fetch(`${slipway.baseUrl}/hooks/check/web`, {
        method: 'POST',
        body,
        headers: {
          'content-type': 'application/json',
          'x-github-event': 'ping',
          'x-github-delivery': randomUUID(),
          ...(signature === undefined ? {} : { 'x-hub-signature-256': signature }),
        },
      })
    for (const wrong of [undefined, 'sha256=', `sha256=${'0'.repeat(64)}`]) expect((await post(wrong)).status).toBe(401)
    expect((await post(`sha256=${createHmac('sha256', secret).update(body).digest('hex')}`)).status).toBe(200)
    const deliveries = (await slipway.api<{ items: Delivery[] }>('GET', '/api/v1/deliveries')).body.items
    expect(deliveries.filter((one) => one.verdict.kind === 'rejected')).toHaveLength(3)
    expect(JSON.stringify((await slipway.api('GET', '/api/v1/projects/check/web')).body)).not.toContain(secret)
  })

  test('a broken Dockerfile names its line', async () => {
    await repository.write({ Dockerfile: 'FROM busybox\nRUNN echo hi\n' })
    await repository.commit('Broken')
    await repository.push().catch(() => '')
    const build = await slipway.build('check/web', 3)
    expect(build.error).toMatchObject({ kind: 'dockerfile-invalid', line: 2, file: 'Dockerfile' })
    expect(build.error?.excerpt).toContain('>>> RUNN echo hi')
  })

  test('a failing RUN shows its exit code and its last lines', async () => {
    await repository.write({ Dockerfile: 'FROM busybox\nRUN echo last words; exit 7\n' })
    await repository.commit('Fails')
    const said = await repository.push().catch((error: Error) => error.message)
    const build = await slipway.build('check/web', 4)
    expect(build.error).toMatchObject({ kind: 'step-failed', line: 2 })
    expect(build.error?.message).toContain('exit code: 7')
    expect(said).toContain('last words')
  })

  test('a changed file is named by the step that copies it', async () => {
    await repository.write({ Dockerfile: dockerfile, 'index.html': 'version 2\n' })
    await repository.commit('Second version')
    await repository.push()
    const { steps } = await slipway.build('check/web', 5)
    expect(steps.flatMap(({ cached, missReason }) => (cached ? [] : [missReason]))).toEqual(['index.html changed'])
  })

  test('SIGTERM stops everything within 15 s and leaves nothing', async () => {
    const { code, tookMs } = await slipway.stop()
    expect(code).toBe(0)
    expect(tookMs).toBeLessThan(15_000)
    expect(await countHost('/slipway-e2e-')).toEqual(before)
  })
})
