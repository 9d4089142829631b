import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { Session } from '../../contract.ts'
import type { JsonObject } from '../json.ts'

/** The client's ends of a program's streams; null where it did not ask for one. */
export interface RemoteStreams {
  stdin: Readable | null
  stdout: Writable | null
  stderr: Writable | null
  /** Messages such as `{"Width":80,"Height":24}`. */
  sizes: Readable | null
  /** Aborts when the client has gone. */
  gone: AbortSignal
  /** Tells how it ended and closes the connection. */
  finish(status: JsonObject): Promise<void>
}

/** Connects a program and its client until either ends; a program whose client has gone is killed. */
export async function serveSession(session: Session, remote: RemoteStreams): Promise<void> {
  await using owned = session
  const { stdin, stdout, stderr } = owned
  if (stdin && remote.stdin) remote.stdin.pipe(stdin)
  else stdin?.end()
  const copies = [copy(stdout, remote.stdout), copy(stderr, remote.stderr)]
  remote.sizes?.on('data', (chunk: Buffer) => void resize(owned, chunk))
  const ended = Promise.all([owned.exited, ...copies]).then(([exit]) => exit)
  const left = remote.gone.aborted ? Promise.resolve(null) : once(remote.gone, 'abort').then(() => null)
  const exit = await Promise.race([ended, left])
  if (!exit) return
  await remote.finish(statusOf(exit.code ?? 128))
}

/** Resolves when the source has ended; what nobody wants is read and dropped. */
async function copy(source: Readable, target: Writable | null): Promise<void> {
  if (target) {
    target.on('error', () => source.resume())
    source.pipe(target)
  } else source.resume()
  await finished(source, { writable: false }).catch(() => {})
}

async function resize(session: Session, message: Buffer): Promise<void> {
  // Several may have come in one piece; the last one counts.
  const last =
    message
      .toString()
      .trim()
      .split(/(?<=\})/)
      .at(-1) ?? ''
  try {
    const { Width: columns, Height: rows } = JSON.parse(last) as { Width?: unknown; Height?: unknown }
    if (isSize(columns) && isSize(rows)) await session.resize({ columns, rows })
  } catch {
    // A size that cannot be read or set leaves the terminal as it is.
  }
}

function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65_536
}

function statusOf(code: number): JsonObject {
  if (code === 0) return { metadata: {}, status: 'Success' }
  return {
    metadata: {},
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: `command terminated with non-zero exit code: exit status ${code}`,
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  }
}
