import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SlipwayError } from '#domain/errors'
import type { ExitStatus } from '#host/exec'
import type { Logger } from '#host/log'
import { newId } from '#host/new-id'
import { openTerminal } from '#host/terminal'
import type { Container, ContainerSpec, ContainerUsage, ExecProcess, ExecSpec } from '../contract.ts'
import type { Cell } from './cell.ts'
import { type OwnLimits, processConfig } from './process-config.ts'
import { type RuncProcess, startRunc } from './runc-process.ts'

/** A container that also says when its traces on the host are gone. */
export interface OwnedContainer extends Container {
  readonly cleared: Promise<void>
}

interface Surroundings {
  ours: OwnLimits
  log: Logger
  signal: AbortSignal
}

/** The running container of a started runc. */
export function containerOf(runc: RuncProcess, cell: Cell, spec: ContainerSpec, around: Surroundings): OwnedContainer {
  const { log, signal } = around
  const { stdout, stderr } = runc.output
  let hasExited = false
  const starting = new Set<Promise<unknown>>()
  const killAll = () => {
    cell.cgroup
      .killAll()
      .catch((error: unknown) => log.error({ err: error, container: cell.id }, 'container does not die'))
  }
  signal.addEventListener('abort', killAll, { once: true })

  const exited = finish(runc, cell).finally(() => {
    hasExited = true
    signal.removeEventListener('abort', killAll)
  })
  // A program that is just being started inside still writes files of its own beside the container's.
  const quiet = exited.then(() => Promise.allSettled(starting))
  const cleared = clearAfter(quiet, cell, log)

  return {
    id: cell.id,
    pid: runc.pid,
    stdout,
    stderr,
    exited,
    cleared,
    async kill(name) {
      // Until runc has been waited for, the number cannot belong to another process.
      if (!hasExited && runc.child.exitCode === null) signalProcess(runc.pid, name)
    },
    async exec(command) {
      if (hasExited) throw new SlipwayError('conflict', `Container ${cell.id} has ended: nothing can run in it`)
      const process = execIn(cell, spec, command, around.ours)
      const settled = process.catch(() => {}).finally(() => starting.delete(settled))
      starting.add(settled)
      return process
    },
    async [Symbol.asyncDispose]() {
      if (!hasExited) {
        await cell.cgroup.killAll()
        // Output that nobody reads any more would keep runc from ending.
        runc.output.abandon()
      }
      await exited
    },
  }
}

async function finish(runc: RuncProcess, cell: Cell): Promise<ExitStatus & { usage: ContainerUsage }> {
  const exit = await runc.exited
  // The first process's end is the end of its process namespace; only a killed runc leaves something.
  if (!cell.cgroup.isEmpty()) await cell.cgroup.killAll()
  return { ...exit, usage: cell.cgroup.usage() }
}

async function clearAfter(quiet: Promise<unknown>, cell: Cell, log: Logger): Promise<void> {
  try {
    await quiet
    await cell.clear()
  } catch (error) {
    log.error({ err: error, container: cell.id }, 'container left something behind')
  }
}

async function execIn(cell: Cell, spec: ContainerSpec, command: ExecSpec, ours: OwnLimits): Promise<ExecProcess> {
  const base = join(cell.dir, newId('exec'))
  const processFile = `${base}.json`
  const settings = {
    args: command.args,
    env: command.env ?? spec.env,
    workingDir: command.workingDir ?? spec.workingDir,
    user: command.user ?? spec.user,
    security: spec.security,
    rlimits: spec.rlimits,
    ours,
    terminal: command.terminal ?? false,
  }
  await writeFile(processFile, JSON.stringify(processConfig(settings)))
  using opened = new DisposableStack()
  const terminal = command.terminal ? opened.use(openTerminal()) : null
  const runc = await startRunc({
    stateDir: cell.stateDir,
    command: ['exec', '--process', processFile, cell.id],
    pidFile: `${base}.pid`,
    logFile: `${base}.log`,
    program: command.args[0] ?? '',
    stdin: 'pipe',
    ...(terminal ? { terminal } : {}),
  })
  opened.move()
  const stdin = terminal ? terminal.stream : runc.child.stdin
  if (!stdin) throw new TypeError('runc was started without a pipe for input')
  // A program that does not read its input is judged by its exit code.
  stdin.on('error', () => {})
  const { stdout, stderr } = runc.output
  const exited = endExec(runc, base)
  // Whoever waits for it hears of a failure; nobody has to.
  exited.catch(() => {})
  return {
    stdin,
    stdout,
    stderr,
    exited,
    async resize(size) {
      await terminal?.resize(size)
      // The kernel tells the session of the terminal only; runc is in another and copies the size on this signal.
      if (terminal && runc.child.exitCode === null) runc.child.kill('SIGWINCH')
    },
    async [Symbol.asyncDispose]() {
      killUnlessEnded(runc)
      await exited
      terminal?.[Symbol.dispose]()
    },
  }
}

function killUnlessEnded({ child, pid, output }: RuncProcess): void {
  if (child.exitCode !== null || child.signalCode !== null) return
  signalProcess(pid, 'SIGKILL')
  output.abandon()
}

async function endExec(runc: RuncProcess, base: string): Promise<ExitStatus> {
  try {
    return await runc.exited
  } finally {
    await Promise.all(['.json', '.pid', '.log'].map((suffix) => rm(base + suffix, { force: true })))
  }
}

function signalProcess(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    // Gone already, which is what most signals ask for.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}
