import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtempDisposable, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { spawn } from '../../core/host/exec.ts'
import { writeBusyboxLayout } from '../support/busybox-layout.ts'

const SLIPWAY = join(import.meta.dirname, '../../slipway')

/** How a command ended, and what it said. */
export interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

/** Runs `slipway gc` on a data directory. */
export async function gc(dataDir: string, flags: readonly string[]): Promise<Ended> {
  const { PATH, HOME } = process.env
  const child = spawn(SLIPWAY, ['gc', ...flags], { env: { PATH, HOME, SLIPWAY_DATA: dataDir } })
  return await new Running(child).ended
}

/** A data directory, a base image and a context of its own for builds with the real command. */
export class Bench implements AsyncDisposable {
  readonly dir: string
  readonly dataDir: string
  readonly #dir: AsyncDisposable

  private constructor(dir: AsyncDisposable & { path: string }) {
    this.#dir = dir
    this.dir = dir.path
    this.dataDir = join(dir.path, 'data')
  }

  static async open(): Promise<Bench> {
    const bench = new Bench(await mkdtempDisposable('/var/tmp/slip-cli-'))
    await mkdir(join(bench.dir, 'context'))
    await writeBusyboxLayout(join(bench.dir, 'base'))
    return bench
  }

  path(name: string): string {
    return join(this.dir, name)
  }

  async write(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(this.path(`context/${name}`)), { recursive: true })
      await writeFile(this.path(`context/${name}`), content)
    }
  }

  /** Starts `slipway build` on the context, with `base` as a further one. */
  start(flags: readonly string[], { env = {}, terminal = false, place = this.path('context') } = {}): Running {
    const args = ['build', '--build-context', `base=oci-layout://${this.path('base')}`, ...flags, place]
    const { PATH, HOME } = process.env
    const options = {
      env: { PATH, HOME, SLIPWAY_DATA: this.dataDir, TERM: 'xterm', ...env },
      cwd: this.dir,
      stdio: 'pipe' as const,
    }
    if (!terminal) return new Running(spawn(SLIPWAY, args, options))
    const command = [SLIPWAY, ...args].map((arg) => `'${arg}'`).join(' ')
    const line = `stty cols 80 rows 24; exec ${command}`
    return new Running(spawn('script', ['-q', '-e', '-c', line, '/dev/null'], options))
  }

  async build(flags: readonly string[], options: Parameters<Bench['start']>[1] = {}, input = ''): Promise<Ended> {
    const running = this.start(flags, options)
    running.child.stdin?.end(input)
    return await running.ended
  }

  /** What sandboxes of this data directory have left on the machine: mounts, control groups, interfaces, rules. */
  async leftovers(): Promise<string[]> {
    const mounts = (await readFile('/proc/self/mounts', 'utf8'))
      .split('\n')
      .filter((line) => line.includes(this.dataDir))
    const ids = await readdir(join(this.dataDir, 'sandbox')).catch(() => [])
    const steps = await readdir(join(this.dataDir, 'builder/steps')).catch(() => [])
    return [...mounts, ...ids, ...steps]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dir[Symbol.asyncDispose]()
  }
}

/** A command that runs. */
export class Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** Is there before what it said is read to the end. */
  readonly exitCode: Promise<number | null>
  #said = ''
  readonly #heard = new Set<() => void>()

  constructor(child: ChildProcess) {
    this.child = child
    const said = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.setEncoding('utf8').on('data', (text: string) => {
        said[name] += text
        this.#said += text
        for (const listener of this.#heard) listener()
      })
    }
    this.exitCode = once(child, 'exit').then(([code]) => code as number | null)
    this.ended = once(child, 'close').then(([code]) => ({ code: code as number | null, ...said }))
  }

  /** Waits until the command has said `text`; fails where it ends before. */
  async until(text: RegExp): Promise<void> {
    const heard = new Promise<void>((resolve) => {
      const listener = (): void => {
        if (text.test(this.#said)) resolve()
      }
      this.#heard.add(listener)
      listener()
    })
    await Promise.race([heard, this.ended])
    if (!text.test(this.#said)) throw new Error(`It ended before it said ${text}: ${this.#said}`)
  }

  /** Waits until the command uses no processor any more, which is all that tells that it waits for somebody. */
  async untilWaiting(): Promise<void> {
    let usedMs = -1
    for (let still = 0; still < 3; ) {
      await sleep(100)
      const fields = (await readFile(`/proc/${this.child.pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? []
      const nowMs = Number(fields[11]) + Number(fields[12])
      still = nowMs === usedMs && nowMs > 10 ? still + 1 : 0
      usedMs = nowMs
    }
  }
}
