import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ChildProcess, type ExitStatus, exited, spawn } from '#host/exec'
import type { LogFile } from './log-file.ts'

const FIRST_DELAY_MS = 500
const LONGEST_DELAY_MS = 30_000
/** A child that lived this long starts its back-off anew. */
const STEADY_MS = 60_000

export interface ChildSpec {
  name: string
  command: readonly [string, ...string[]]
  cwd: string
  /** The command forks the real process into a new pid namespace, and takes no SIGTERM itself. */
  wrapped: boolean
  /** Resolves once the child can be used; its failure is a reason to try again. */
  ready?: (signal: AbortSignal) => Promise<void>
}

export interface ChildState {
  name: string
  pid: number | null
  state: 'starting' | 'running' | 'waiting' | 'stopped'
  restarts: number
  lastExit: string | null
}

/**
 * One supervised process: started again, with growing pauses, until `stop`. It is a session of its own, so that a
 * Ctrl-C in the terminal reaches the supervisor alone, and the kernel ends it if the supervisor dies.
 */
export class SupervisedChild {
  readonly spec: ChildSpec
  readonly log: LogFile
  readonly state: ChildState
  #child: ChildProcess | null = null
  readonly #stopped = new AbortController()
  readonly #changed: () => void
  #life: Promise<void> = Promise.resolve()

  constructor(spec: ChildSpec, log: LogFile, changed: () => void) {
    this.spec = spec
    this.log = log
    this.#changed = changed
    this.state = { name: spec.name, pid: null, state: 'starting', restarts: 0, lastExit: null }
  }

  /** Starts the child and its restarts; rejects if the first start ends before it is ready. */
  async start(signal: AbortSignal): Promise<void> {
    const firstExit = this.#spawn()
    const gone = firstExit.then((exit) => {
      throw new Error(`${this.spec.name} ended at its start: ${describe(exit)}`)
    })
    gone.catch(() => {})
    await Promise.race([this.spec.ready?.(AbortSignal.any([signal, this.#stopped.signal])), gone])
    this.#set({ state: 'running' })
    this.#life = this.#keepAlive(firstExit)
  }

  /** SIGTERM, then SIGKILL after `graceMs`; resolves when the process is gone. */
  async stop(graceMs: number): Promise<void> {
    this.#stopped.abort(new Error('stopping'))
    const child = this.#child
    if (child && child.exitCode === null && child.signalCode === null) {
      this.#terminate(child)
      const gone = exited(child)
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
      await gone
      clearTimeout(timer)
    }
    await this.#life
    this.#set({ state: 'stopped', pid: null })
  }

  #terminate(child: ChildProcess): void {
    if (!this.spec.wrapped) {
      child.kill('SIGTERM')
      return
    }
    const inner = childrenOf(child.pid)
    if (inner.length === 0) child.kill('SIGKILL')
    for (const pid of inner) process.kill(pid, 'SIGTERM')
  }

  async #keepAlive(firstExit: Promise<ExitStatus>): Promise<void> {
    let exit = firstExit
    let failures = 0
    for (;;) {
      const startedAtMs = performance.now()
      const lastExit = describe(await exit)
      if (this.#stopped.signal.aborted) return
      failures = performance.now() - startedAtMs > STEADY_MS ? 1 : failures + 1
      this.#set({ state: 'waiting', pid: null, lastExit, restarts: this.state.restarts + 1 })
      const delayMs = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (failures - 1))
      await sleep(delayMs, undefined, { signal: this.#stopped.signal }).catch(() => {})
      if (this.#stopped.signal.aborted) return
      exit = this.#spawn()
      this.#set({ state: 'running' })
    }
  }

  #spawn(): Promise<ExitStatus> {
    const [file, ...args] = this.spec.command
    const child = spawn('setpriv', ['--pdeathsig', this.spec.wrapped ? 'KILL' : 'TERM', '--', file, ...args], {
      cwd: this.spec.cwd,
      detached: true,
    })
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => this.log.write(chunk))
    this.#set({ pid: child.pid ?? null, state: 'starting' })
    return exited(child)
  }

  #set(change: Partial<ChildState>): void {
    Object.assign(this.state, change)
    this.#changed()
  }
}

function describe(exit: ExitStatus): string {
  return exit.signal ? `killed by ${exit.signal}` : `exit code ${exit.code}`
}

/** https://docs.kernel.org/filesystems/proc.html: /proc/PID/task/TID/children */
function childrenOf(pid: number | undefined): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}
