import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { dirname } from 'node:path'
import type { Build } from '#domain/build'
import { messageOf } from '#domain/errors'
import type { ProjectName } from '#domain/ids'
import { buildUrl } from '../builds/build-url.ts'
import type { ApiDeps } from '../deps.ts'
import { readBody } from '../webhooks/read-body.ts'
import { acceptPush, type GitPush } from './accept-push.ts'
import { BuildNarrator } from './narrate-build.ts'
import { readRefUpdates } from './ref-updates.ts'

/** One push in flight: its hook proves by the id that it belongs to it. Disposing ends what is told to the pusher. */
export interface ExpectedPush extends Disposable {
  readonly id: string
}

/** Of a push that brings more, the pusher is told how many they are, and does not wait for them. */
const MAX_TOLD = 10

/** A thousand refs take about 150 KB. */
const MAX_UPDATES_BYTES = 16 * 1024 * 1024

interface Expected {
  project: ProjectName
  pusher: string
  signal: AbortSignal
}

/**
 * The way back from git's post-receive hook: a socket beneath the data directory that only we can open. The hook says
 * which refs moved, and prints what it is answered; git shows that to the pusher as `remote:` lines.
 */
export class PushChannel implements AsyncDisposable {
  readonly socketPath: string
  readonly #deps: ApiDeps
  readonly #expected = new Map<string, Expected>()
  readonly #closing = new AbortController()
  readonly #server: Server

  private constructor(deps: ApiDeps, socketPath: string) {
    this.#deps = deps
    this.socketPath = socketPath
    this.#server = createServer((request, response) => void this.#answer(request, response))
  }

  static async open(deps: ApiDeps, socketPath: string): Promise<PushChannel> {
    await mkdir(dirname(socketPath), { recursive: true, mode: 0o700 })
    await rm(socketPath, { force: true })
    const channel = new PushChannel(deps, socketPath)
    channel.#server.listen(socketPath)
    await once(channel.#server, 'listening')
    return channel
  }

  /** Lets one push's hook in. */
  expect(project: ProjectName, pusher: string): ExpectedPush {
    const id = randomBytes(24).toString('hex')
    const ended = new AbortController()
    const signal = AbortSignal.any([ended.signal, this.#closing.signal])
    this.#expected.set(id, { project, pusher, signal })
    const dispose = () => {
      this.#expected.delete(id)
      ended.abort(new Error('the push has ended'))
    }
    return { id, [Symbol.dispose]: dispose }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error('the server stops'))
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    await closed
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('connection', 'close')
    const [, id = '', mode = ''] = request.url?.split('/') ?? []
    const expected = this.#expected.get(id)
    // One use: a second hook of the same push has nothing to say.
    this.#expected.delete(id)
    if (!expected) {
      response.writeHead(403).end('this push is not expected\n')
      return
    }
    try {
      const updates = readRefUpdates((await readBody(request, MAX_UPDATES_BYTES)).toString('utf8'))
      await this.#tell(response, { ...expected, id, updates }, mode === 'wait')
    } catch (error) {
      this.#deps.log.error({ err: error, project: expected.project }, 'push could not be handled')
      // Before anything was told, the hook keeps the push for later.
      if (response.headersSent) response.write(`${messageOf(error)}\n`)
      else response.writeHead(503)
    }
    response.end()
  }

  async #tell(response: ServerResponse, push: Expected & GitPush, isWaiting: boolean): Promise<void> {
    const { builds, notes } = await acceptPush(this.#deps, push)
    for (const note of notes.slice(0, MAX_TOLD)) response.write(`${note}\n`)
    if (notes.length > MAX_TOLD) response.write(`and ${notes.length - MAX_TOLD} refs more: no build\n`)
    if (builds.length > MAX_TOLD) return this.#tellMany(response, builds)
    const ended = new AbortController()
    response.once('close', () => ended.abort(new Error('the pusher is gone')))
    const signal = AbortSignal.any([push.signal, ended.signal])
    const tellings = builds.map((build) => this.#tellBuild(response, build, isWaiting ? signal : null))
    await Promise.all(tellings)
  }

  #tellMany(response: ServerResponse, builds: readonly Build[]): void {
    const { project, number } = builds[0] ?? {}
    const many = `${builds.length} builds queued, from build ${number} to build ${builds.at(-1)?.number}`
    response.write(`${many}: ${this.#deps.config.baseUrl}/projects/${project}\n`)
  }

  /** Tells a build to its end; without a signal only where to watch it. */
  async #tellBuild(response: ServerResponse, build: Build, signal: AbortSignal | null): Promise<void> {
    const url = buildUrl(this.#deps.config.baseUrl, build.id)
    if (!signal) {
      response.write(`[build ${build.number}] queued: ${url}\n`)
      return
    }
    const narrator = new BuildNarrator(build, url)
    try {
      for await (const { event } of this.#deps.store.builds.events(build.id, null, signal)) {
        const lines = narrator.tell(event)
        if (lines.length > 0 && !response.write(`${lines.join('\n')}\n`)) await once(response, 'drain', { signal })
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
    if (signal.aborted && !response.destroyed) response.write(`[build ${build.number}] goes on: ${url}\n`)
  }
}
