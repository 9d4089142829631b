import { createHash } from 'node:crypto'
import { mkdtempDisposable, readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createSharedWork } from '#buildkit-lite'
import { download, downloadsDir } from '../../../buildkit-lite/remote/download.ts'
import { startFileServer } from '../../support/file-server.ts'

const never = new AbortController().signal
const sha256 = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`

async function openBench(allowPrivate = true) {
  const dir = await mkdtempDisposable(join(tmpdir(), 'slip-download-'))
  const tools = { stateDir: dir.path, sharedWork: createSharedWork(), access: { allowPrivate } }
  return { tools, [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose]() }
}

const ask = (url: string, more: Partial<Parameters<typeof download>[0]> = {}) => ({
  url,
  checksum: null,
  authorization: null,
  scope: 'test',
  ...more,
})

test('a body is kept, and asked for again with what the server said of it', async () => {
  const lastModified = 'Wed, 21 Oct 2015 07:28:00 GMT'
  await using server = await startFileServer((request, response) => {
    if (request.headers['if-none-match'] === '"1"') response.writeHead(304).end()
    else response.writeHead(200, { etag: '"1"', 'last-modified': lastModified }).end('hello')
  })
  await using bench = await openBench()
  const url = `${server.origin}/f.bin?q=1`
  const first = await download(ask(url), bench.tools, never)
  expect(first).toMatchObject({ digest: sha256('hello'), sizeBytes: 5, modifiedAtMs: Date.parse(lastModified) })
  expect(await readFile(first.path, 'utf8')).toBe('hello')
  expect(await download(ask(url), bench.tools, never)).toEqual(first)
  expect(server.requests.map(({ headers }) => headers['if-none-match'])).toEqual([undefined, '"1"'])
  expect(server.requests[1]?.headers['if-modified-since']).toBe(lastModified)
})

test('what changed comes anew, and has no time where the server tells none', async () => {
  let body = 'one'
  await using server = await startFileServer((_, response) => response.end(body))
  await using bench = await openBench()
  expect(await download(ask(server.origin), bench.tools, never)).toMatchObject({
    digest: sha256('one'),
    modifiedAtMs: 0,
  })
  body = 'two'
  expect(await download(ask(server.origin), bench.tools, never)).toMatchObject({ digest: sha256('two') })
})

test('builds that want the same at once share one download', async () => {
  await using server = await startFileServer((_, response) => response.end('x'))
  await using bench = await openBench()
  await Promise.all([1, 2, 3].map(() => download(ask(server.origin), bench.tools, never)))
  expect(server.requests).toHaveLength(1)
})

test('a checksum is compared, and spares asking for what is there', async () => {
  await using server = await startFileServer((_, response) => response.end('hello'))
  await using bench = await openBench()
  const wrong = download(ask(server.origin, { checksum: sha256('other') }), bench.tools, never)
  await expect(wrong).rejects.toThrow(`digest mismatch ${sha256('hello')}: expected ${sha256('other')}`)
  await download(ask(server.origin, { checksum: sha256('hello') }), bench.tools, never)
  await download(ask(server.origin, { checksum: sha256('hello') }), bench.tools, never)
  expect(server.requests).toHaveLength(1)
})

test('what one scope or secret has fetched is not for another', async () => {
  await using server = await startFileServer((_, response) => response.writeHead(200, { etag: '"1"' }).end('x'))
  await using bench = await openBench()
  await download(ask(server.origin, { authorization: 'Bearer a' }), bench.tools, never)
  await download(ask(server.origin), bench.tools, never)
  await download(ask(server.origin, { scope: 'other' }), bench.tools, never)
  expect(server.requests.map(({ headers }) => headers['if-none-match'])).toEqual([undefined, undefined, undefined])
  expect(server.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer a', undefined, undefined])
})

test('a status that is none of success fails, and leaves nothing', async () => {
  await using server = await startFileServer((_, response) => response.writeHead(404).end('no'))
  await using bench = await openBench()
  const url = `${server.origin}/gone`
  await expect(download(ask(url), bench.tools, never)).rejects.toThrow(`${url}: invalid response status 404 Not Found`)
  expect(server.requests).toHaveLength(1)
  const kept = await readdir(downloadsDir(bench.tools.stateDir), { recursive: true })
  expect(kept.filter((name) => name.includes('/'))).toEqual([])
})

test('a connection that breaks is tried again', async () => {
  let tries = 0
  await using server = await startFileServer((_, response) => {
    if (++tries > 1) return response.end('whole')
    response.writeHead(200, { 'content-length': '100' }).write('part')
    return response.destroy()
  })
  await using bench = await openBench()
  expect(await download(ask(server.origin), bench.tools, never)).toMatchObject({ digest: sha256('whole') })
})

test('redirects are followed without what is for the first host, and not for ever', async () => {
  await using other = await startFileServer((_, response) => response.end('there'))
  await using server = await startFileServer((request, response) => {
    response.writeHead(302, { location: request.url === '/loop' ? '/loop' : `${other.origin}/f` }).end()
  })
  await using bench = await openBench()
  const moved = await download(ask(`${server.origin}/a`, { authorization: 'Bearer a' }), bench.tools, never)
  expect(moved.digest).toBe(sha256('there'))
  expect(other.requests[0]?.headers.authorization).toBeUndefined()
  await expect(download(ask(`${server.origin}/loop`), bench.tools, never)).rejects.toThrow(
    'redirects more than 10 times',
  )
})

test('a redirect to anything but http is refused', async () => {
  await using server = await startFileServer((_, response) =>
    response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
  )
  await using bench = await openBench()
  await expect(download(ask(server.origin), bench.tools, never)).rejects.toThrow('expected a place of http or https')
})

test.for([
  'http://localhost:PORT/',
  'http://127.0.0.1:PORT/',
  'http://2130706433:PORT/',
  'http://[::ffff:127.0.0.1]:PORT/',
])('%s is not reached by a stranger’s Dockerfile', async (template) => {
  await using server = await startFileServer((_, response) => response.end('secret'))
  await using bench = await openBench(false)
  const url = template.replace('PORT', new URL(server.origin).port)
  await expect(download(ask(url), bench.tools, never)).rejects.toThrow('which builds may not reach')
  expect(server.requests).toEqual([])
})
