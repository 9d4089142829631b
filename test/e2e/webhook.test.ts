import { createHmac, randomUUID } from 'node:crypto'
import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Delivery } from '#domain/delivery'
import { run } from '#host/exec'
import { type GitServer, startGitServer } from '../support/git-server.ts'
import { type RunningSlipway, startSlipway } from '../support/slipway.ts'

/** A forge as Slipway sees it: a repository to clone, and requests that say what was pushed to it. */
let slipway: RunningSlipway
let forge: GitServer
let commit: string
let work: Awaited<ReturnType<typeof mkdtempDisposable>>

const secret = 'a secret of the project'
const signingToken = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

beforeAll(async () => {
  work = await mkdtempDisposable(join(tmpdir(), 'slipway-forge-'))
  const git = async (...args: string[]) =>
    (
      await run('git', [
        '-C',
        join(work.path, 'web.git'),
        '-c',
        'user.name=T',
        '-c',
        'user.email=t@example.com',
        ...args,
      ])
    ).stdout
      .toString()
      .trim()
  await run('git', ['init', '-q', '-b', 'main', join(work.path, 'web.git')])
  await writeFile(join(work.path, 'web.git', 'Dockerfile'), 'FROM scratch\nCOPY Dockerfile /\n')
  await git('add', '-A')
  await git('commit', '-q', '-m', 'The commit of the event')
  await git('tag', '-a', '-m', 'Release', 'v1.2.0')
  commit = await git('rev-parse', 'HEAD')
  await writeFile(join(work.path, 'web.git', 'Dockerfile'), 'FROM scratch\nNONSENSE\n')
  await git('commit', '-q', '-a', '-m', 'A later one, which is broken')
  forge = await startGitServer(work.path)
  slipway = await startSlipway()
})
afterAll(async () => {
  await slipway?.[Symbol.asyncDispose]()
  await forge?.[Symbol.asyncDispose]()
  await work?.remove()
})

const repositoryUrl = () => `${forge.url}/web.git/.git`

async function post(project: string, headers: Record<string, string>, body: string) {
  const response = await fetch(`${slipway.baseUrl}/hooks/${project}`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  })
  return {
    status: response.status,
    answer: (await response.json()) as { deliveryId: string; builds: { id: string; number: number }[] },
  }
}

test('a GitHub push builds exactly its commit, once', async () => {
  const project = 'forge/github'
  await slipway.api('POST', '/api/v1/projects', { name: project, repository: repositoryUrl(), webhookSecret: secret })
  const body = JSON.stringify({
    ref: 'refs/heads/main',
    before: '0'.repeat(40),
    after: commit,
    deleted: false,
    head_commit: { id: commit, message: 'The commit of the event', author: { name: 'T' } },
    repository: { full_name: 'web', clone_url: repositoryUrl(), default_branch: 'main' },
    pusher: { name: 'T' },
  })
  const headers = {
    'x-github-event': 'push',
    'x-github-delivery': randomUUID(),
    'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
  }

  const first = await post(project, headers, body)
  const again = await post(project, headers, body)

  expect(first.status).toBe(202)
  expect(again.status).toBe(200)
  expect(again.answer.builds).toEqual(first.answer.builds)
  const build = await slipway.build(project, 1)
  expect(build).toMatchObject({
    status: 'succeeded',
    commit,
    tags: ['latest', commit],
    message: 'The commit of the event',
  })
  expect(await slipway.builds(project)).toHaveLength(1)
})

test('a GitLab tag push, signed with a signing token, builds its commit under the tag', async () => {
  const project = 'forge/gitlab'
  await slipway.api('POST', '/api/v1/projects', {
    name: project,
    repository: repositoryUrl(),
    webhookSigningToken: signingToken,
  })
  const body = JSON.stringify({
    object_kind: 'tag_push',
    ref: 'refs/tags/v1.2.0',
    before: '0'.repeat(40),
    after: 'f'.repeat(40),
    checkout_sha: commit,
    user_username: 'T',
    project: { git_http_url: repositoryUrl(), default_branch: 'main', path_with_namespace: 'web' },
    commits: [],
  })
  const id = randomUUID()
  const at = new Date()
  const headers = {
    'x-gitlab-event': 'Tag Push Hook',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': new Webhook(signingToken).sign(id, at, body),
  }

  const unsigned = await post(project, { 'x-gitlab-event': 'Tag Push Hook', 'x-gitlab-token': secret }, body)
  const signed = await post(project, headers, body)

  expect(unsigned.status).toBe(401)
  expect(signed.status).toBe(202)
  expect(await slipway.build(project, 1)).toMatchObject({ status: 'succeeded', commit, tags: ['1.2.0'] })
  const { body: deliveries } = await slipway.api<{ items: Delivery[] }>('GET', `/api/v1/deliveries?project=${project}`)
  expect(deliveries.items.map((delivery) => delivery.verdict.kind)).toEqual(['accepted', 'rejected'])
})
