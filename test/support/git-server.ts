import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '#host/exec'

/** Repositories below a directory over git's smart HTTP, behind a password if one is given. */
export interface GitServer extends AsyncDisposable {
  readonly url: string
  /** The Authorization header of every request. */
  readonly authorizations: (string | undefined)[]
  /** Of all bodies of answers. */
  readonly sentBytes: number
}

export async function startGitServer(
  directory: string,
  password: string | null = null,
  { bytesPerSecond = Infinity }: { bytesPerSecond?: number } = {},
): Promise<GitServer> {
  const authorizations: (string | undefined)[] = []
  let sentBytes = 0
  const server = createServer((request, response) => {
    const { authorization } = request.headers
    authorizations.push(authorization)
    const expected = `Basic ${Buffer.from(`git:${password}`).toString('base64')}`
    if (password !== null && authorization !== expected) {
      response.writeHead(401, { 'www-authenticate': 'Basic' }).end()
      return
    }
    const serve = async () => {
      const { status, headers, body } = await answer(directory, request)
      sentBytes += body.length
      response.writeHead(status, headers)
      await pipeline(slowDown(body, bytesPerSecond), response)
    }
    serve().catch((error: unknown) => response.destroy(error as Error))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    authorizations,
    get sentBytes() {
      return sentBytes
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** https://git-scm.com/docs/git-http-backend */
async function answer(directory: string, request: IncomingMessage) {
  const url = new URL(request.url ?? '/', 'http://localhost')
  const { stdout } = await run('git', ['http-backend'], {
    input: Buffer.concat(await request.toArray()),
    // What it refuses it has said in its answer.
    okCodes: [0, 1, 128],
    env: {
      PATH: process.env['PATH'],
      GIT_PROJECT_ROOT: directory,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      REQUEST_METHOD: request.method,
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
    },
  })
  const end = stdout.indexOf('\r\n\r\n')
  const headers = stdout.subarray(0, end).toString().split('\r\n')
  const pairs = headers.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()])
  const { Status: status = '200', ...rest } = Object.fromEntries(pairs) as Record<string, string>
  return { status: Number(status.slice(0, 3)), headers: rest, body: stdout.subarray(end + 4) }
}

async function* slowDown(body: Buffer, bytesPerSecond: number): AsyncGenerator<Buffer> {
  if (bytesPerSecond === Infinity) return yield body
  for (let at = 0; at < body.length; at += bytesPerSecond / 10) {
    yield body.subarray(at, at + bytesPerSecond / 10)
    await sleep(100)
  }
}
