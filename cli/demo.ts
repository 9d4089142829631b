import { cp, mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pc from 'picocolors'
import { z } from 'zod'
import type { Config } from '#host/config'
import { run } from '#host/exec'
import { importBusybox } from './busybox.ts'
import { createDemoDeployment } from './demo-deployment.ts'

const PROJECT = 'demo/hello'
const DEADLINE_MS = 180_000
const exampleDir = join(import.meta.dirname, '..', 'examples', 'hello')

interface DemoOptions {
  print: (line: string) => void
  signal: AbortSignal
}

const BuildPage = z.object({ items: z.array(z.object({ id: z.string(), number: z.number(), status: z.string() })) })
const RolloutPage = z.object({
  items: z.array(z.object({ project: z.string(), status: z.string(), message: z.string() })),
})

/** The first run on an empty machine: a base image, and the example pushed through the same road as everybody's. */
export async function runDemo(config: Config, adminToken: string, { print, signal }: DemoOptions): Promise<void> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)])
  const api = apiClient(config, adminToken, limit)
  try {
    print('First run: importing the busybox base image and pushing examples/hello')
    await importBusybox(config, limit)
    await api('POST', '/api/v1/projects', { name: PROJECT, rules: [deployRule()] })
    const nodePort = await createDemoDeployment(config, `${config.registryHost}/${PROJECT}:latest`, limit)
    await pushExample(config, adminToken, limit)
    const build = await waitForBuild(api, limit)
    print(`  Build        ${pc.cyan(`${config.baseUrl}/builds/${build.id}`)}  ${build.status}`)
    await waitForRollout(api, limit)
    print(`  Running app  ${pc.cyan(`http://127.0.0.1:${nodePort}/`)}`)
    print('')
  } catch (error) {
    if (signal.aborted) throw error
    print(
      pc.yellow(
        `The demo did not go live: ${String(error)}. Everything else runs; the dashboard shows how far it came.`,
      ),
    )
  }
}

function deployRule(): object {
  const deploy = [{ namespace: 'default', deployment: 'hello', container: 'hello' }]
  return { source: 'branch', pattern: 'main', tags: ['latest', '{sha}'], deploy }
}

type Api = (method: string, path: string, body?: object) => Promise<unknown>

function apiClient(config: Config, token: string, signal: AbortSignal): Api {
  return async (method, path, body) => {
    const response = await fetch(`${config.localUrl}${path}`, {
      method,
      signal,
      headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path} answers ${response.status}: ${text.slice(0, 500)}`)
    return JSON.parse(text)
  }
}

/** A repository of its own, pushed with git; the token travels in git's environment, not in an argument or a URL. */
async function pushExample(config: Config, token: string, signal: AbortSignal): Promise<void> {
  await using work = await mkdtempDisposable(join(tmpdir(), 'slipway-demo-'))
  await cp(exampleDir, work.path, { recursive: true })
  const credentials = Buffer.from(`demo:${token}`).toString('base64')
  const env = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: work.path,
    GIT_TERMINAL_PROMPT: '0',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'http.extraHeader',
    GIT_CONFIG_VALUE_0: `Authorization: Basic ${credentials}`,
  }
  const git = (...args: string[]) =>
    run('git', ['-C', work.path, '-c', 'user.name=Slipway', '-c', 'user.email=slipway@localhost', ...args], {
      env,
      signal,
    })
  await git('init', '-q', '-b', 'main')
  await git('add', '-A')
  await git('commit', '-q', '-m', 'Say hello')
  await git('push', '-q', '-o', 'nowait', `${config.localUrl}/git/${PROJECT}.git`, 'main')
}

async function waitForBuild(api: Api, signal: AbortSignal): Promise<{ id: string; status: string }> {
  for (;;) {
    const build = BuildPage.parse(await api('GET', `/api/v1/projects/${PROJECT}/builds`)).items[0]
    if (build && build.status !== 'queued' && build.status !== 'running') return build
    await sleep(200, undefined, { signal })
  }
}

async function waitForRollout(api: Api, signal: AbortSignal): Promise<void> {
  for (;;) {
    const rollout = RolloutPage.parse(await api('GET', '/api/v1/rollouts')).items.find((one) => one.project === PROJECT)
    if (rollout?.status === 'succeeded') return
    if (rollout && rollout.status !== 'pending' && rollout.status !== 'progressing') throw new Error(rollout.message)
    await sleep(200, undefined, { signal })
  }
}
