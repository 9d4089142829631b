import { type ChildProcess, type SpawnOptions, spawn as spawnChild } from 'node:child_process'
import { once } from 'node:events'
import { SlipwayError } from '#domain/errors'

export type { ChildProcess } from 'node:child_process'

/** How a process ended: one of the two is set. */
export interface ExitStatus {
  code: number | null
  signal: NodeJS.Signals | null
}

export interface RunOptions {
  cwd?: string
  env?: NodeJS.ProcessEnv
  /** Written to standard input, which is then closed. */
  input?: string | Uint8Array
  signal?: AbortSignal
  /** Standard output beyond this many bytes fails the call. */
  maxOutputBytes?: number
  /** Exit codes that are no error; 0 if not given. */
  okCodes?: readonly number[]
}

export interface RunResult {
  code: number
  stdout: Buffer
  stderr: string
}

/** A program that ended with a code its caller did not expect. */
export class ExecError extends SlipwayError {
  readonly exit: ExitStatus
  readonly stderr: string

  constructor(command: string, exit: ExitStatus, stderr: string) {
    const how = exit.signal ? `was killed by ${exit.signal}` : `exited with code ${exit.code}`
    const said = stderr.trim().split('\n').slice(-5).join('\n')
    super('internal', `${command} ${how}${said ? `: ${said}` : ''}`)
    this.exit = exit
    this.stderr = stderr
  }
}

/** Starts a program. Arguments are an array, there is never a shell. The caller owns the process. */
export function spawn(file: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
  return spawnChild(file, [...args], { stdio: ['ignore', 'pipe', 'pipe'], ...options, shell: false })
}

/** Waits for a started program to end; rejects if it could not be started. */
export async function exited(child: ChildProcess): Promise<ExitStatus> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return { code: child.exitCode, signal: child.signalCode }
}

/** Runs a program to its end and returns what it printed. */
export async function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { input, signal, maxOutputBytes = 64 * 1024 * 1024, okCodes = [0], ...spawnOptions } = options
  const child = spawn(file, args, {
    ...spawnOptions,
    ...(signal ? { signal, killSignal: 'SIGKILL' as const } : {}),
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  const stdout = collect(child.stdout, maxOutputBytes, () => child.kill('SIGKILL'))
  const stderr = collect(child.stderr, 64 * 1024)
  // A program that ends without reading its input is judged by its exit code, not by our broken pipe.
  child.stdin?.on('error', () => {})
  child.stdin?.end(input)
  try {
    await once(child, 'close')
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    throw new SlipwayError('internal', `${file} could not be started: ${String(error)}`, { cause: error })
  }
  const exit = { code: child.exitCode, signal: child.signalCode }
  if (stdout.overflowed()) throw new SlipwayError('too-large', `${file} printed more than ${maxOutputBytes} bytes`)
  if (exit.code === null || !okCodes.includes(exit.code)) throw new ExecError(file, exit, stderr.bytes().toString())
  return { code: exit.code, stdout: stdout.bytes(), stderr: stderr.bytes().toString() }
}

/** Keeps the last `limitBytes` of a stream; `onOverflow` is told once when there was more. */
function collect(stream: NodeJS.ReadableStream | null, limitBytes: number, onOverflow?: () => void) {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  let overflowed = false
  stream?.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    sizeBytes += chunk.length
    if (sizeBytes <= limitBytes) return
    if (!overflowed) onOverflow?.()
    overflowed = true
    while (chunks.length > 1 && sizeBytes - (chunks[0]?.length ?? 0) > limitBytes)
      sizeBytes -= chunks.shift()?.length ?? 0
  })
  return { bytes: () => Buffer.concat(chunks), overflowed: () => overflowed }
}
