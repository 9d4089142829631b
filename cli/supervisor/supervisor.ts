import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, SlipwayError } from '#domain/errors'
import { writeFileAtomic } from '#host/files'
import { type ChildSpec, SupervisedChild } from './child.ts'
import { childStatesFile } from './child-states.ts'
import { LogFile } from './log-file.ts'

/** Grace for roles that return their work to the queue, then for the servers they depend on: 15 s in all, with npm's own. */
export const GRACE_MS = { roles: 9000, servers: 3000 }
/** Of a log, for an error message. */
const TAIL_LINES = 10

/** Keeps a set of children running. Disposing stops them: first those that use others, then those that are used. */
export class Supervisor implements AsyncDisposable {
  readonly #dataDir: string
  readonly #graceMs: typeof GRACE_MS
  readonly #children: { child: SupervisedChild; log: LogFile }[] = []
  readonly #firstEnd = Promise.withResolvers<never>()
  #published: Promise<void> = Promise.resolve()

  constructor(dataDir: string, graceMs: typeof GRACE_MS = GRACE_MS) {
    this.#dataDir = dataDir
    this.#graceMs = graceMs
    this.#firstEnd.promise.catch(() => {})
  }

  /** Rejects once a child that was ready ends unasked, with the end of its log: while all is starting, that is a failure. */
  get firstEnd(): Promise<never> {
    return this.#firstEnd.promise
  }

  /** Starts a child and waits until it is ready; fails with the end of its log. */
  async start(spec: ChildSpec, signal: AbortSignal): Promise<void> {
    const log = new LogFile(join(this.#dataDir, 'logs', `${spec.name}.log`))
    const child = new SupervisedChild(spec, log, {
      changed: () => this.#publish(),
      ended: (how) => void this.#fail(log, `${spec.name} ended: ${how}`).catch(this.#firstEnd.reject),
    })
    this.#children.push({ child, log })
    try {
      await child.start(signal)
    } catch (error) {
      signal.throwIfAborted()
      await this.#fail(log, messageOf(error), error)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const children = this.#children.map(({ child }) => child)
    const isServer = (child: SupervisedChild) => child.spec.name === 'redis' || child.spec.name === 'registry'
    await Promise.all(children.filter((child) => !isServer(child)).map((child) => child.stop(this.#graceMs.roles)))
    await Promise.all(children.filter(isServer).map((child) => child.stop(this.#graceMs.servers)))
    await this.#published
    await rm(childStatesFile(this.#dataDir), { force: true })
    for (const { log } of this.#children) log[Symbol.dispose]()
  }

  async #fail(log: LogFile, why: string, cause?: unknown): Promise<never> {
    const tail = await log.tail(TAIL_LINES)
    throw new SlipwayError('unavailable', `${why}. The end of ${log.path}:\n${tail}`, { cause })
  }

  /** The children's states for `/readyz`, which another process answers. */
  #publish(): void {
    const text = JSON.stringify(this.#children.map(({ child }) => child.state))
    const file = childStatesFile(this.#dataDir)
    this.#published = this.#published.then(() => writeFileAtomic(file, text, 0o600)).catch(() => {})
  }
}
