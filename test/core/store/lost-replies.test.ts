import { once } from 'node:events'
import { mkdtempDisposable } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { BuildEvent } from '#domain/build-event'
import type { ProjectName } from '#domain/ids'
import type { Store } from '#store/contract'
import { openStore } from '#store/open-store'
import { startRedis } from '../../support/redis.ts'
import { noSecrets, orderOf, projectOf, workerId } from './orders.ts'

/** A Redis whose connection breaks after it has done what it was asked, and before it could say so. */
let redis: Awaited<ReturnType<typeof startLossyRedis>>
let store: Store
let project: ProjectName

beforeAll(async () => {
  redis = await startLossyRedis()
  store = await openStore(redis.url)
  project = (await store.projects.create(projectOf('acme/web'), noSecrets)).name
  // Every script is known to the server from here on.
  const build = await enqueue()
  const claim = (await store.builds.claim(build.id, workerId(), 60_000, 1))!
  await store.builds.release(claim, 'x', 1)
  await store.builds.cancel(build.id, 'x', 1)
})
afterAll(async () => {
  await store?.[Symbol.asyncDispose]()
  await redis?.[Symbol.asyncDispose]()
})

const enqueue = async () => (await store.builds.enqueue([orderOf(project)], Date.now()))[0]!
const line = (text: string): BuildEvent => ({ kind: 'log', atMs: 1, step: null, stream: 'stdout', firstLine: 1, text })

test('events whose acknowledgement was lost are stored once', async () => {
  const build = await enqueue()
  const claim = (await store.builds.claim(build.id, workerId(), 60_000, 1))!
  redis.loseReplyTo('printed once')
  await store.builds.append(claim, [line('printed once\n')])
  await store.builds.append(claim, [
    line('printed after\n'),
    { kind: 'finished', atMs: 1, status: 'failed', error: null },
  ])
  expect(redis.lost()).toBe(1)
  const texts: string[] = []
  for await (const { event } of store.builds.events(build.id, null, AbortSignal.timeout(5000)))
    if (event.kind === 'log') texts.push(event.text)
  expect(texts).toEqual(['printed once\n', 'printed after\n'])
})

test('a claim whose answer was lost is held, with the token that was given', async () => {
  const build = await enqueue()
  const worker = workerId()
  redis.loseReplyTo(worker)
  const claim = await store.builds.claim(build.id, worker, 60_000, 1)
  expect(redis.lost()).toBe(1)
  expect(claim).toMatchObject({ worker, attempt: 1, build: { status: 'running' } })
  await store.builds.append(claim!, [{ kind: 'finished', atMs: 1, status: 'failed', error: null }])
})

test('a build that was given back is in the queue with a ticket, though the answer was lost', async () => {
  const build = await enqueue()
  const claim = (await store.builds.claim(build.id, workerId(), 60_000, 1))!
  redis.loseReplyTo('given back')
  await store.builds.release(claim, 'given back', 1)
  expect(redis.lost()).toBe(1)
  expect(claim.build.status).toBe('queued')
})

/** `startRedis` behind a socket that drops a reply on request. */
async function startLossyRedis() {
  await using stack = new AsyncDisposableStack()
  const upstream = stack.use(await startRedis())
  const dir = stack.use(await mkdtempDisposable(join(tmpdir(), 'slip-lossy-')))
  let wanted: string | null = null
  let lost = 0
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const toRedis = connect({ path: upstream.socket })
    let isDropping = false
    client.on('data', (chunk) => {
      if (wanted !== null && chunk.includes(wanted)) {
        isDropping = true
        wanted = null
      }
      toRedis.write(chunk)
    })
    toRedis.on('data', (chunk) => {
      if (!isDropping) return client.write(chunk)
      lost++
      return client.destroy()
    })
    for (const [one, other] of [
      [client, toRedis],
      [toRedis, client],
    ] as const) {
      sockets.add(one)
      one.on('error', () => {})
      one.on('close', () => other.destroy())
    }
  })
  const socket = join(dir.path, 'redis.sock')
  server.listen(socket)
  await once(server, 'listening')
  stack.defer(() => {
    for (const one of sockets) one.destroy()
    server.close()
  })
  const open = stack.move()
  return {
    url: `unix://${socket}`,
    loseReplyTo(text: string) {
      wanted = text
      lost = 0
    },
    lost: () => lost,
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  }
}
