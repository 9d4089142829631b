import { watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { PassThrough, type Readable } from 'node:stream'
import type { ChildProcess, ExitStatus } from '#host/exec'
import { exited, spawn } from '#host/exec'
import type { Terminal } from '#host/terminal'
import { readRuncError, startError } from './runc-log.ts'

/** A runc in the foreground: it copies the program's output and ends as the program ends. */
export interface RuncProcess {
  /** Of the program inside, as seen from here. */
  readonly pid: number
  readonly child: ChildProcess
  readonly output: Output
  readonly exited: Promise<ExitStatus>
}

export interface RuncCall {
  /** Directory that holds runc's state of all our containers. */
  stateDir: string
  /** `run` or `exec` with its own options and arguments, without pid file. */
  command: readonly [name: string, ...args: string[]]
  pidFile: string
  logFile: string
  /** What the error names. */
  program: string
  stdin: 'ignore' | 'pipe'
  /** What the program's terminal is copied from and to, in the place of the three streams. */
  terminal?: Terminal
}

/** Resolves when the program inside runs; rejects with what runc logged where it never did. */
export async function startRunc(call: RuncCall): Promise<RuncProcess> {
  const [name, ...args] = call.command
  const started = fileAppears(call.pidFile)
  const { terminal } = call
  const fd = terminal?.programFd
  const child = spawn(
    'runc',
    ['--root', call.stateDir, '--log', call.logFile, '--log-format', 'json', name, '--pid-file', call.pidFile, ...args],
    // A session of its own: an interrupt from the terminal is for us to pass on.
    { stdio: fd === undefined ? [call.stdin, 'pipe', 'pipe'] : [fd, fd, fd], detached: true },
  )
  terminal?.closeProgramEnd()
  const output = keepOutput(terminal ? { stdout: terminal.stream, stderr: null } : child)
  const ended = exited(child)
  try {
    await Promise.race([started.appeared, ended])
    // The file is written when the program has started; a short one may end before the news arrives.
    const pid = await readPid(call.pidFile)
    if (pid === null) {
      await ended
      throw startError(call.program, await readRuncError(call.logFile))
    }
    return { pid, child, output, exited: ended }
  } finally {
    started.close()
  }
}

/** What a program prints, until its reader has it. */
interface Output {
  readonly stdout: Readable
  readonly stderr: Readable
  /** Stops reading, so that the program is no longer held up; readers see the end. */
  abandon(): void
}

/**
 * Takes over the output of a child before it can end: Node throws away what nobody has read of a stream when its
 * process exits. Reading stops with the reader, and so in the end does the program.
 */
function keepOutput(child: Pick<ChildProcess, 'stdout' | 'stderr'>): Output {
  const [stdout, stderr] = [keepStream(child.stdout), keepStream(child.stderr)]
  return {
    stdout,
    stderr,
    abandon() {
      child.stdout?.destroy()
      child.stderr?.destroy()
    },
  }
}

function keepStream(source: Readable | null): Readable {
  const kept = new PassThrough()
  source?.pipe(kept)
  if (source) source.once('close', () => kept.end())
  else kept.end()
  return kept
}

/** Watches for a file that is renamed into place. */
function fileAppears(path: string) {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const watcher = watch(dirname(path), (_event, name) => {
    if (name === basename(path)) resolve()
  })
  watcher.on('error', reject)
  return { appeared: promise, close: () => watcher.close() }
}

async function readPid(path: string): Promise<number | null> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return /^\d+$/.test(text) ? Number(text) : null
}
