import { createHmac, randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import type { InjectOptions } from 'fastify'
import { ADMIN_TOKEN, type TestApi } from './api.ts'

/** A provider's request in its exact shape, and what has to come of it. Below `test/fixtures/webhooks`. */
export interface HookFixture {
  name: string
  provider: string
  headers: Record<string, string>
  body: Record<string, unknown>
  expect: {
    status: number
    verdict: string
    reason?: string
    builds?: Record<string, unknown>[]
    /** What was built last is built again. */
    rebuilds?: boolean
  }
}

export const HOOK_SECRET = 'It is a "secret" to everybody'
const DIR = new URL('../fixtures/webhooks/', import.meta.url)

export function readHooks(): HookFixture[] {
  return readdirSync(DIR).map((file) => ({
    name: file.replace(/\.json$/, ''),
    ...JSON.parse(readFileSync(new URL(file, DIR), 'utf8')),
  }))
}

/** The request as its provider would sign and send it. */
export function hookRequest(
  hook: Pick<HookFixture, 'provider' | 'headers'>,
  body: unknown,
  project: string,
  id: string = randomUUID(),
): InjectOptions {
  const payload = typeof body === 'string' ? body : JSON.stringify(body)
  const proof = proofOf(hook.provider, createHmac('sha256', HOOK_SECRET).update(payload).digest('hex'), id)
  const headers = { 'content-type': 'application/json', ...hook.headers, ...proof }
  return { method: 'POST', url: `/hooks/${project}`, payload, headers }
}

function proofOf(provider: string, hex: string, id: string): Record<string, string> {
  switch (provider) {
    case 'github':
      return { 'x-github-delivery': id, 'x-hub-signature-256': `sha256=${hex}` }
    case 'gitlab':
      return { 'x-gitlab-event-uuid': id, 'x-gitlab-token': HOOK_SECRET }
    case 'bitbucket':
      return { 'x-request-uuid': id, 'x-hub-signature': `sha256=${hex}` }
    case 'registry':
      return { authorization: `Bearer ${HOOK_SECRET}` }
    case 'generic':
      return { 'idempotency-key': id, 'x-hub-signature-256': `sha256=${hex}` }
    default:
      return { [`x-${provider}-delivery`]: id, [`x-${provider}-signature`]: hex }
  }
}

const REPOSITORIES: Record<string, string> = {
  github: 'git@github.com:acme/shop.git',
  gitea: 'https://git.example/acme/shop.git',
  forgejo: 'https://forge.example/acme/shop',
  gogs: 'https://gogs.example/acme/shop.git',
  gitlab: 'https://gitlab.example/acme/shop.git',
  bitbucket: 'https://bitbucket.org/acme/shop.git',
}

/** A project that builds branches, tags and pull requests of the repository that the fixture is about. */
export async function projectFor(api: TestApi, hook: HookFixture, name = `acme/${hook.name}`): Promise<string> {
  const isServer = hook.name.startsWith('bitbucket-server')
  const repository = isServer ? 'https://bitbucket.example/scm/acme/shop.git' : REPOSITORIES[hook.provider]
  const response = await api.app.inject({
    method: 'POST',
    url: '/api/v1/projects',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    payload: {
      name,
      repository: repository ?? 'https://code.example/acme/shop.git',
      webhookSecret: HOOK_SECRET,
      rebuildOn: ['docker.io/library/base', 'acme/base:latest', 'ghcr.io/acme/base:edge'],
      rules: [
        { source: 'branch', pattern: 'main', tags: ['latest'] },
        { source: 'branch', pattern: '/release/.+/', tags: ['{branch}'] },
        { source: 'tag', pattern: '/v((\\d+)\\.(\\d+)\\.\\d+)/', tags: ['{\\1}', '{\\2}.{\\3}'] },
        { source: 'pull-request', pattern: 'main' },
      ],
    },
  })
  if (response.statusCode !== 201) throw new Error(`Project ${name}: ${response.body}`)
  return name
}
