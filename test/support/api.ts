import { createHmac, randomUUID } from 'node:crypto'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { createLogger } from '#host/log'
import type { Store } from '#store/contract'
import { openStore } from '#store/open-store'
import type { ApiDeps } from '../../api/deps.ts'
import { createServer } from '../../api/server.ts'
import { startRedis } from './redis.ts'

export const ADMIN_TOKEN = 'slip_admin-token-of-the-tests'

/** The API over a Redis of its own. Listens on a free port; `inject` needs none. */
export interface TestApi extends AsyncDisposable {
  readonly app: FastifyInstance
  readonly store: Store
  readonly deps: ApiDeps
  readonly dataDir: string
  readonly redisUrl: string
  baseUrl: string
  // oxlint-disable-next-line no-explicit-any -- tests look into answers freely
  call(method: InjectOptions['method'], path: string, body?: object): Promise<{ status: number; body: any }>
  listen(): Promise<number>
}

export async function startApi(options: { registryUrl?: string; baseUrl?: string } = {}): Promise<TestApi> {
  await using stack = new AsyncDisposableStack()
  const redis = stack.use(await startRedis())
  const dir = stack.use(await mkdtempDisposable(join(tmpdir(), 'slip-api-')))
  const store = stack.use(await openStore(redis.url))
  await store.tokens.adopt(ADMIN_TOKEN, { kind: 'admin' }, 'admin')
  const dataDir = dir.path
  const config = {
    dataDir,
    baseUrl: options.baseUrl ?? 'http://127.0.0.1:3000',
    registryUrl: options.registryUrl ?? `unix:${join(dataDir, 'registry.sock')}`,
    registryHost: '127.0.0.1:3000',
    ownRegistry: true,
    kubeconfigFile: join(dataDir, 'kubeconfig'),
  }
  const dashboardDir = join(dataDir, 'dashboard')
  const deps = { store, config, log: createLogger('api', 'fatal'), dashboardDir }
  const app = createServer(deps)
  stack.adopt(app, (server) => server.close())
  await app.ready()
  const open = stack.move()
  const api: TestApi = {
    app,
    store,
    deps,
    dataDir,
    redisUrl: redis.url,
    baseUrl: config.baseUrl,
    async call(method, path, body) {
      const response = await app.inject({
        ...(method ? { method } : {}),
        url: path,
        headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
        ...(body ? { payload: body } : {}),
      })
      return { status: response.statusCode, body: response.body === '' ? null : JSON.parse(response.body) }
    },
    async listen() {
      await app.listen({ host: '127.0.0.1', port: 0 })
      const address = app.server.address()
      const port = typeof address === 'object' && address ? address.port : 0
      config.baseUrl = `http://127.0.0.1:${port}`
      api.baseUrl = config.baseUrl
      return port
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
  return api
}

/** The signature that GitHub would send. */
export function githubSignature(secret: string, body: string): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
}

/** A GitHub push of one commit to a branch. */
export function githubPush(more: object = {}) {
  return {
    ref: 'refs/heads/main',
    before: '1'.repeat(40),
    after: '2'.repeat(40),
    deleted: false,
    forced: false,
    head_commit: { id: '2'.repeat(40), message: 'Change it', author: { name: 'Ada' } },
    commits: [{ id: '2'.repeat(40), added: [], modified: ['index.html'], removed: [] }],
    repository: {
      clone_url: 'https://github.com/acme/web.git',
      ssh_url: 'git@github.com:acme/web.git',
      html_url: 'https://github.com/acme/web',
      default_branch: 'main',
    },
    pusher: { name: 'ada' },
    ...more,
  }
}

export interface GithubRequest {
  event?: string
  delivery?: string
  signature?: string | null
  headers?: Record<string, string>
  project?: string
}

/** A request as GitHub sends it, signed with the secret. */
export function githubRequest(secret: string, payload: object | string, more: GithubRequest = {}): InjectOptions {
  const body = typeof payload === 'string' ? payload : JSON.stringify(payload)
  const signature = more.signature === undefined ? githubSignature(secret, body) : more.signature
  return {
    method: 'POST',
    url: `/hooks/${more.project ?? 'acme/web'}`,
    payload: body,
    headers: {
      'content-type': 'application/json',
      'x-github-event': more.event ?? 'push',
      'x-github-delivery': more.delivery ?? randomUUID(),
      ...(signature === null ? {} : { 'x-hub-signature-256': signature }),
      ...more.headers,
    },
  }
}
