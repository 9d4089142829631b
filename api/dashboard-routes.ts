import { access } from 'node:fs/promises'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import type { ApiDeps } from './deps.ts'

const OURS = /^\/(?:api|v2|git|hooks)(?:\/|$)/
const NOT_BUILT = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Slipway</title>
<div id="app"><h1>Slipway is running</h1>
<p>The dashboard is not built yet. Build it with <code>npm run dashboard</code>; <code>npm start</code> does it too.</p>
</div></html>
`

/** The dashboard's files; any other page address gets its entry page, which finds its own way. */
export async function dashboardRoutes(app: FastifyInstance, { dashboardDir }: ApiDeps): Promise<void> {
  await app.register(fastifyStatic, { root: dashboardDir, serve: false, wildcard: false })
  const isFile = (path: string) =>
    access(path).then(
      () => true,
      () => false,
    )
  app.get('/*', { schema: { hide: true } }, async (request, reply) => {
    const path = request.url.split('?')[0] ?? '/'
    if (OURS.test(path)) return reply.callNotFound()
    if (!(await isFile(join(dashboardDir, 'index.html'))))
      return wantsPage(path, request.headers.accept) ? reply.type('text/html').send(NOT_BUILT) : reply.callNotFound()
    // Names of built files carry a hash of what is in them.
    if (path.startsWith('/assets/'))
      return reply.sendFile(decodeURIComponent(path.slice(1)), { maxAge: '365d', immutable: true })
    if (/\.[a-z0-9]+$/i.test(path)) return reply.sendFile(decodeURIComponent(path.slice(1)))
    if (!wantsPage(path, request.headers.accept)) return reply.callNotFound()
    return reply.sendFile('index.html', { cacheControl: false })
  })
}

function wantsPage(path: string, accept: string | undefined): boolean {
  return path === '/' || accept === undefined || /text\/html|\*\/\*/.test(accept)
}
