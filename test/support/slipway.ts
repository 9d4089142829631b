import { mkdtempDisposable, readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Build } from '#domain/build'
import { type ChildProcess, exited, run, spawn } from '#host/exec'

const projectDir = join(import.meta.dirname, '..', '..')

/** What is on the host: everything we make has `slip` in its name or lies below the data directory. */
export interface HostCounts {
  mounts: number
  namespaces: number
  links: number
  cgroups: number
  nftTables: number
  containers: number
}

/** A whole Slipway in a temporary directory, started as a user starts it. Disposing stops it. */
export interface RunningSlipway extends AsyncDisposable {
  readonly baseUrl: string
  readonly dataDir: string
  readonly token: string
  readonly host: string
  readonly port: number
  output(): string
  api<T = unknown>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }>
  kubectl(...args: string[]): Promise<string>
  slipway(...args: string[]): Promise<{ stdout: string; stderr: string }>
  /** A new working copy whose `push` goes to our git endpoint. */
  repository(name: string, files: Record<string, string>): Promise<TestRepository>
  builds(project: string): Promise<Build[]>
  newest(project: string): Promise<Build>
  /** Resolves once a step has printed the text. */
  sees(build: Pick<Build, 'id'>, text: string): Promise<void>
  /** Waits for build `number` of the project to reach one of the states. */
  build(project: string, number: number, states?: readonly string[]): Promise<Build>
  /** Process ids of a supervised role: the one inside its wrapper, where it has one. */
  pidOf(child: string): Promise<number>
  stop(): Promise<{ code: number | null; tookMs: number }>
  kill(): Promise<void>
}

export interface TestRepository {
  readonly dir: string
  readonly url: string
  write(files: Record<string, string>): Promise<void>
  commit(message: string): Promise<string>
  /** Pushes and returns what the server said. */
  push(...args: string[]): Promise<string>
}

const env = (dataDir: string, port: number) => ({
  ...process.env,
  SLIPWAY_DATA: dataDir,
  SLIPWAY_PORT: String(port),
  SLIPWAY_CLUSTER_PORT: String(port + 1),
  HOME: join(dataDir, '..', 'home'),
})

export async function startSlipway(
  options: { demo?: boolean; dataDir?: string; port?: number } = {},
): Promise<RunningSlipway> {
  const work = options.dataDir ? null : await mkdtempDisposable(join(tmpdir(), 'slipway-e2e-'))
  const dataDir = options.dataDir ?? join(work?.path ?? '', 'data')
  const port = options.port ?? (await freePortPair())
  const child = spawn(join(projectDir, 'slipway'), ['up', ...(options.demo ? [] : ['--no-demo'])], {
    cwd: projectDir,
    env: env(dataDir, port),
    detached: true,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const running = new Slipway({ child, dataDir, port, output: () => output, cleanUp: async () => work?.remove() })
  await running.untilReady()
  return running
}

class Slipway implements RunningSlipway {
  readonly baseUrl: string
  readonly host: string
  readonly port: number
  readonly dataDir: string
  readonly output: () => string
  token = ''
  readonly #child: ChildProcess
  readonly #cleanUp: () => Promise<void>

  constructor(parts: {
    child: ChildProcess
    dataDir: string
    port: number
    output: () => string
    cleanUp: () => Promise<void>
  }) {
    this.#child = parts.child
    this.#cleanUp = parts.cleanUp
    this.dataDir = parts.dataDir
    this.port = parts.port
    this.host = `127.0.0.1:${parts.port}`
    this.baseUrl = `http://${this.host}`
    this.output = parts.output
  }

  async untilReady(): Promise<void> {
    await until('/readyz', 120_000, async () => {
      if (this.#child.exitCode !== null) throw new Fatal(`slipway up ended:\n${this.output()}`)
      return (await fetch(`${this.baseUrl}/readyz`)).ok
    })
    this.token = (await readFile(join(this.dataDir, 'admin-token'), 'utf8')).trim()
  }

  async api<T>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }> {
    const response = await fetch(`${this.baseUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.includes('json')
    return { status: response.status, body: (isJson ? JSON.parse(text) : text) as T }
  }

  async kubectl(...args: string[]): Promise<string> {
    const { stdout } = await run('kubectl', ['--kubeconfig', join(this.dataDir, 'kubeconfig'), ...args], {
      env: env(this.dataDir, this.port),
    })
    return stdout.toString()
  }

  async slipway(...args: string[]): Promise<{ stdout: string; stderr: string }> {
    const result = await run(join(projectDir, 'slipway'), args, { env: env(this.dataDir, this.port), cwd: projectDir })
    return { stdout: result.stdout.toString(), stderr: result.stderr }
  }

  async repository(name: string, files: Record<string, string>): Promise<TestRepository> {
    const dir = join(this.dataDir, '..', 'repositories', name)
    const url = `http://test:${this.token}@${this.host}/git/${name}.git`
    return createRepository(dir, url, files)
  }

  async builds(project: string): Promise<Build[]> {
    return (await this.api<{ items: Build[] }>('GET', `/api/v1/projects/${project}/builds`)).body.items
  }

  async newest(project: string): Promise<Build> {
    const [build] = await this.builds(project)
    if (!build) throw new Error(`${project} has no build`)
    return build
  }

  async sees({ id }: Pick<Build, 'id'>, text: string): Promise<void> {
    const response = await fetch(`${this.baseUrl}/api/v1/builds/${id}/events`, {
      headers: { authorization: `Bearer ${this.token}` },
    })
    let rest = ''
    for await (const chunk of response.body ?? []) {
      const lines = (rest + Buffer.from(chunk).toString()).split('\n')
      rest = lines.pop() ?? ''
      // Titles of steps hold what their commands would print, so only lines of log count.
      for (const line of lines.filter((one) => one.startsWith('data: '))) {
        const event = JSON.parse(line.slice('data: '.length)) as { kind?: string; text?: string }
        if (event.kind === 'log' && event.text?.includes(text)) return
      }
    }
    throw new Error(`build ${id} ended without ${text}`)
  }

  async build(
    project: string,
    number: number,
    states: readonly string[] = ['succeeded', 'failed', 'cancelled'],
  ): Promise<Build> {
    return until(`build ${number} of ${project} to be ${states.join(' or ')}`, 240_000, async () => {
      const build = (await this.builds(project)).find((one) => one.number === number)
      return build && states.includes(build.status)
        ? (await this.api<Build>('GET', `/api/v1/builds/${build.id}`)).body
        : null
    })
  }

  async pidOf(name: string): Promise<number> {
    const children = JSON.parse(await readFile(join(this.dataDir, 'run', 'children.json'), 'utf8'))
    const pid = children.find((child: { name: string }) => child.name === name).pid
    const inner = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter(Boolean)
    return name === 'worker' || name === 'cluster' ? Number(inner[0]) : pid
  }

  async stop(): Promise<{ code: number | null; tookMs: number }> {
    const startedAt = performance.now()
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGTERM')
    const { code } = await exited(this.#child)
    return { code, tookMs: performance.now() - startedAt }
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await exited(this.#child)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await this.#cleanUp()
  }
}

async function createRepository(dir: string, url: string, files: Record<string, string>): Promise<TestRepository> {
  const { mkdir, writeFile } = await import('node:fs/promises')
  const git = async (...args: string[]) => {
    const { stdout, stderr } = await run(
      'git',
      ['-C', dir, '-c', 'user.name=Test', '-c', 'user.email=test@example.com', ...args],
      {
        env: { ...process.env, GIT_TERMINAL_PROMPT: '0' },
      },
    )
    return { stdout: stdout.toString().trim(), stderr }
  }
  const write = async (more: Record<string, string>) => {
    for (const [path, text] of Object.entries(more)) {
      await mkdir(join(dir, path, '..'), { recursive: true })
      await writeFile(join(dir, path), text)
    }
  }
  const commit = async (message: string) => {
    await git('add', '-A')
    await git('commit', '-q', '-m', message)
    return (await git('rev-parse', 'HEAD')).stdout
  }
  await mkdir(dir, { recursive: true })
  await run('git', ['init', '-q', '-b', 'main', dir])
  await write(files)
  await commit('First')
  return { dir, url, write, commit, push: async (...args) => (await git('push', ...args, url, 'main')).stderr }
}

/** Thrown inside `until` to end the waiting at once. */
class Fatal extends Error {}

/** Waits until `probe` returns something, for up to `limitMs`; only for state of other processes, which cannot call us. */
export async function until<T>(
  what: string,
  limitMs: number,
  probe: () => Promise<T | null | undefined | false>,
): Promise<T> {
  const deadline = performance.now() + limitMs
  let last: unknown
  while (performance.now() < deadline) {
    try {
      const value = await probe()
      if (value) return value
    } catch (error) {
      if (error instanceof Fatal) throw error
      last = error
    }
    await sleep(100)
  }
  throw new Error(`waited ${limitMs} ms for ${what}`, { cause: last })
}

export async function countHost(dataDir: string): Promise<HostCounts> {
  const lines = (text: string, part = '') =>
    text.split('\n').filter((line) => line.trim() && line.includes(part)).length
  const tables = await run('nft', ['list', 'tables'])
  const processes = await readdir('/proc')
  let containers = 0
  for (const pid of processes.filter((name) => /^\d+$/.test(name))) {
    const cgroup = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')
    if (/\/slipway\//.test(cgroup)) containers++
  }
  return {
    mounts: lines(await readFile('/proc/self/mounts', 'utf8'), dataDir),
    namespaces: lines((await run('ip', ['netns', 'list'])).stdout.toString()),
    links: lines((await run('ip', ['-o', 'link'])).stdout.toString()),
    cgroups: lines(
      (await run('find', ['/sys/fs/cgroup', '-maxdepth', '6', '-type', 'd', '-iname', '*slip*'])).stdout.toString(),
    ),
    nftTables: lines(tables.stdout.toString(), 'slip'),
    containers,
  }
}

async function freePort(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** A port whose successor is free too: for the dashboard and the Kubernetes API. */
async function freePortPair(): Promise<number> {
  for (;;) {
    const port = 20_000 + 2 * Math.floor(Math.random() * 5000)
    if ((await freePort(port)) && (await freePort(port + 1))) return port
  }
}
