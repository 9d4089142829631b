import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { type Build, isFinal } from '#domain/build'
import { SlipwayError } from '#domain/errors'
import type { BuildId } from '#domain/ids'
import type { Store } from '#store/contract'
import { identify } from '../authenticate.ts'
import { readLog, sliceBytes } from '../builds/read-log.ts'
import type { ApiDeps } from '../deps.ts'
import { type EventFrame, sendEventStream } from '../event-stream.ts'
import { readRange } from './range.ts'
import { BuildParams, buildId } from './shapes.ts'

const tags = ['builds']
const EventsQuery = z.object({ lastEventId: z.string().max(40).optional() })
const LogQuery = z.object({ plain: z.string().optional() })

/** What is told while it happens: a build's events, its log, and the changes of all builds. */
export function buildStreamRoutes(app: FastifyInstance, deps: ApiDeps, closing: AbortSignal): void {
  const routes = app.withTypeProvider<ZodTypeProvider>()
  const { store } = deps
  const stillAdmin = (request: FastifyRequest) => async () =>
    (await identify(store.tokens, request))?.grant.kind === 'admin'

  routes.get('/api/v1/builds/events', { exposeHeadRoute: false, schema: { tags } }, async (request, reply) =>
    sendEventStream(reply, { frames: (signal) => changes(store, signal), isAllowed: stillAdmin(request), closing }),
  )

  routes.get(
    '/api/v1/builds/:id/events',
    { exposeHeadRoute: false, schema: { tags, params: BuildParams, querystring: EventsQuery } },
    async (request, reply) => {
      const { id } = await existing(store, buildId(request.params))
      const afterId = lastEventId(request.headers['last-event-id'] ?? request.query.lastEventId)
      const frames = (signal: AbortSignal) => eventsOf(store, id, afterId, signal)
      return sendEventStream(reply, { frames, isAllowed: stillAdmin(request), closing })
    },
  )

  routes.get(
    '/api/v1/builds/:id/log',
    { exposeHeadRoute: false, schema: { tags, params: BuildParams, querystring: LogQuery } },
    async (request, reply) => {
      const build = await existing(store, buildId(request.params))
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort(new Error('the reader is gone')))
      const signal = AbortSignal.any([gone.signal, closing])
      const read = () => readLog(store, build.id, { plain: request.query.plain === '1' }, signal)
      reply.type('text/plain; charset=utf-8').headers({
        'cache-control': 'no-store',
        'content-disposition': `attachment; filename="${build.project.replace('/', '-')}-${build.number}.log"`,
      })
      return isFinal(build.status) ? sendWhole(request, reply, read) : reply.send(Readable.from(read()))
    },
  )
}

/** A finished log has a size, so it can be asked for in parts. */
async function sendWhole(request: FastifyRequest, reply: FastifyReply, read: () => AsyncIterable<Buffer>) {
  let sizeBytes = 0
  for await (const chunk of read()) sizeBytes += chunk.length
  reply.header('accept-ranges', 'bytes')
  const range = readRange(request.headers.range, sizeBytes)
  if (range === 'unsatisfiable') {
    reply.header('content-range', `bytes */${sizeBytes}`)
    return reply.code(416).send('')
  }
  const { first, last } = range ?? { first: 0, last: sizeBytes - 1 }
  if (range) reply.code(206).header('content-range', `bytes ${first}-${last}/${sizeBytes}`)
  reply.header('content-length', last - first + 1)
  return reply.send(Readable.from(sliceBytes(read(), first, last)))
}

async function existing(store: Store, id: BuildId): Promise<Build> {
  const build = await store.builds.get(id)
  if (!build) throw new SlipwayError('not-found', `There is no build ${id}`)
  return build
}

function lastEventId(value: string | string[] | undefined): string | null {
  const id = Array.isArray(value) ? value[0] : value
  if (id === undefined || id === '') return null
  if (!/^\d{1,16}-\d{1,16}$/.test(id)) throw new SlipwayError('invalid', `"${id}" is not the id of an event`)
  return id
}

async function* eventsOf(store: Store, id: BuildId, afterId: string | null, signal: AbortSignal) {
  for await (const stored of store.builds.events(id, afterId, signal))
    yield { id: stored.id, event: stored.event.kind, data: stored.event } satisfies EventFrame
  if (!signal.aborted) yield { event: 'eof', data: {} } satisfies EventFrame
}

async function* changes(store: Store, signal: AbortSignal) {
  for await (const build of store.builds.watch(signal)) yield { event: 'message', data: build } satisfies EventFrame
}
