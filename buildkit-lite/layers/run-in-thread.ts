import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type MessagePort, Worker } from 'node:worker_threads'
import { type ErrorKind, SlipwayError } from '#domain/errors'

/** What a thread tells: an answer once, and news before. Errors lose their class on the way, so kind and text are sent. */
type Answer<Result, News = unknown> =
  | { news: News }
  | { result: Result }
  | { error: { kind: ErrorKind | null; message: string; stack: string } }

/**
 * Runs a module of this room as a worker thread: it gets `job`, reads `input` as its standard input, may tell news and
 * answers once. Aborting ends the thread at the next instruction.
 */
export async function runInThread<Result, News = never>(
  module: URL,
  job: unknown,
  options: { input?: Readable; onNews?: (news: News) => void },
  signal: AbortSignal,
): Promise<Result> {
  signal.throwIfAborted()
  const worker = new Worker(module, { workerData: job, stdin: options.input !== undefined })
  const { promise, resolve, reject } = Promise.withResolvers<Result>()
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  worker.on('message', (answer: Answer<Result, News>) => {
    if ('news' in answer) options.onNews?.(answer.news)
    else if ('result' in answer) resolve(answer.result)
    else reject(toError(answer.error))
  })
  worker.once('error', reject)
  worker.once('exit', (code) => reject(new SlipwayError('internal', `A layer thread ended with code ${code}`)))
  if (options.input && worker.stdin) pipeline(options.input, worker.stdin).catch(reject)
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', abort)
    options.input?.destroy()
    await worker.terminate()
  }
}

/** The thread's side: says something before it has ended. */
export function tell<News>(port: MessagePort | null, news: News): void {
  port?.postMessage({ news } satisfies Answer<never, News>)
}

/** The thread's side: does the work and sends its answer. */
export async function answer<Result>(port: MessagePort | null, work: () => Promise<Result>): Promise<void> {
  try {
    port?.postMessage({ result: await work() } satisfies Answer<Result>)
  } catch (error) {
    const { message, stack = '' } = error instanceof Error ? error : new Error(String(error))
    const kind = error instanceof SlipwayError ? error.kind : null
    port?.postMessage({ error: { kind, message, stack } } satisfies Answer<Result>)
  }
}

function toError({ kind, message, stack }: { kind: ErrorKind | null; message: string; stack: string }): Error {
  const cause = Object.assign(new Error(message), { stack })
  return new SlipwayError(kind ?? 'internal', message, { cause })
}
