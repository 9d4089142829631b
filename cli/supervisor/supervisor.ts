import { join } from 'node:path'
import { messageOf, SlipwayError } from '#domain/errors'
import { writeFileAtomic } from '#host/files'
import { type ChildSpec, SupervisedChild } from './child.ts'
import { LogFile } from './log-file.ts'

/** Grace for roles that return their work to the queue, then for the servers they depend on: 15 s in all, with npm's own. */
const ROLE_GRACE_MS = 9000
const SERVER_GRACE_MS = 3000

/** Keeps a set of children running. Disposing stops them: first those that use others, then those that are used. */
export class Supervisor implements AsyncDisposable {
  readonly #dataDir: string
  readonly #children: SupervisedChild[] = []
  #written: Promise<void> = Promise.resolve()

  constructor(dataDir: string) {
    this.#dataDir = dataDir
  }

  /** Starts a child and waits until it is ready; fails with the end of its log. */
  async start(spec: ChildSpec, signal: AbortSignal): Promise<void> {
    const log = new LogFile(join(this.#dataDir, 'logs', `${spec.name}.log`))
    const child = new SupervisedChild(spec, log, () => this.#publish())
    this.#children.push(child)
    try {
      await child.start(signal)
    } catch (error) {
      signal.throwIfAborted()
      const tail = await log.tail(10)
      throw new SlipwayError('unavailable', `${messageOf(error)}. The end of ${log.path}:\n${tail}`, { cause: error })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const isServer = (child: SupervisedChild) => child.spec.name === 'redis' || child.spec.name === 'registry'
    const servers = this.#children.filter(isServer)
    const roles = this.#children.filter((child) => !isServer(child))
    await Promise.all(roles.map((child) => child.stop(ROLE_GRACE_MS)))
    await Promise.all(servers.map((child) => child.stop(SERVER_GRACE_MS)))
    await this.#written
  }

  /** The children's states for `/readyz`, which another process answers. */
  #publish(): void {
    const states = this.#children.map((child) => ({ ...child.state }))
    const file = join(this.#dataDir, 'run', 'children.json')
    this.#written = this.#written.then(() => writeFileAtomic(file, JSON.stringify(states), 0o600)).catch(() => {})
  }
}
