import { join } from 'node:path'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { SlipwayError } from '#domain/errors'
import { ProjectName } from '#domain/ids'
import { type Caller, identify } from '../authenticate.ts'
import type { ApiDeps } from '../deps.ts'
import { describeError } from '../error-replies.ts'
import { backendEnv } from './backend-env.ts'
import { closed, GitBackends } from './git-backend.ts'
import { writeHooks } from './hooks.ts'
import { acceptMissedPushes } from './missed-pushes.ts'
import { PushChannel } from './push-channel.ts'
import { ensureRepository, hasRepository } from './repositories.ts'

type Service = 'git-upload-pack' | 'git-receive-pack'
interface Params {
  ns: string
  repo: string
}
interface GitScope {
  deps: ApiDeps
  backends: GitBackends
  hooksDir: string
  channel: PushChannel
  closing: AbortSignal
}

/** How long pushes that only wait for their build may take to end when the server stops. */
const FAREWELL_MS = 2_000

/** `/git/NS/NAME.git`: git's smart HTTP protocol, by git's own server program. */
export async function gitRoutes(app: FastifyInstance, deps: ApiDeps): Promise<void> {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  // git shows its user what is plain text.
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const { status, body } = describeError(error)
    if (status >= 500) request.log.error({ err: error }, 'git request failed')
    return refuse(reply, { status, why: body.error.message })
  })
  const closing = new AbortController()
  const scope: GitScope = {
    deps,
    backends: new GitBackends(),
    hooksDir: await writeHooks(deps.config.dataDir),
    channel: await PushChannel.open(deps, join(deps.config.dataDir, 'run', 'push.sock')),
    closing: closing.signal,
  }
  app.addHook('onReady', async () => void acceptMissedPushes(deps, closing.signal))
  app.addHook('preClose', async () => {
    await scope.channel[Symbol.asyncDispose]()
    setTimeout(() => closing.abort(new Error('the server stops')), FAREWELL_MS).unref()
  })

  app.get<{ Params: Params; Querystring: { service?: string } }>('/git/:ns/:repo/info/refs', async (request, reply) => {
    const { service } = request.query
    if (service !== 'git-upload-pack' && service !== 'git-receive-pack')
      throw new SlipwayError('forbidden', 'Only git’s smart HTTP protocol is spoken here')
    return serve(scope, { service, path: 'info/refs' }, request, reply)
  })
  for (const service of ['git-upload-pack', 'git-receive-pack'] as const)
    app.post<{ Params: Params }>(`/git/:ns/:repo/${service}`, async (request, reply) =>
      serve(scope, { service, path: service }, request, reply),
    )
}

async function serve(
  scope: GitScope,
  asked: { service: Service; path: string },
  request: FastifyRequest<{ Params: Params }>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const name = projectOf(request.params)
  const caller = await authorize(scope.deps, asked.service, name, request)
  if (!caller.isAllowed) return refuse(reply, caller)
  await prepareRepository(scope.deps, asked.service, name)
  const isPush = asked.path === 'git-receive-pack'
  const push = isPush ? scope.channel.expect(name, caller.user) : null
  const env = backendEnv({ ...scope, request: request.raw, project: name, path: asked.path, user: caller.user, push })
  const call = { env, request: request.raw, finishesAlone: isPush, signal: scope.closing }
  const answer = await scope.backends.call(call).catch((error: unknown) => {
    push?.[Symbol.dispose]()
    throw error
  })
  // The pusher's leaving ends the telling, never the build.
  if (push) void Promise.race([answer.ended, closed(answer.body)]).then(() => push[Symbol.dispose]())
  return reply.code(answer.status).headers(answer.headers).send(answer.body)
}

/** git shows the text of an error to its user. */
function refuse(reply: FastifyReply, { status, why }: { status: number; why: string }): FastifyReply {
  if (status === 401) reply.header('www-authenticate', 'Basic realm="Slipway", charset="UTF-8"')
  if (!reply.request.raw.complete) reply.header('connection', 'close')
  return reply.code(status).type('text/plain; charset=utf-8').send(`${why}\n`)
}

type Verdict = { isAllowed: true; user: string } | { isAllowed: false; status: number; why: string }

async function authorize(
  deps: ApiDeps,
  service: Service,
  name: ProjectName,
  request: FastifyRequest,
): Promise<Verdict> {
  const caller: Caller | null = request.headers.authorization ? await identify(deps.store.tokens, request) : null
  if (caller?.grant.kind === 'admin') return { isAllowed: true, user: caller.user || 'admin' }
  if (service === 'git-upload-pack' && !request.headers.authorization) {
    const project = await deps.store.projects.get(name)
    if (project?.visibility === 'public') return { isAllowed: true, user: 'anonymous' }
  }
  if (caller) return { isAllowed: false, status: 403, why: 'This token is for the registry only' }
  return { isAllowed: false, status: 401, why: 'A token is needed: give it as the password, with any user name' }
}

/** A push makes the repository it names; a clone of what is not there fails. */
async function prepareRepository(deps: ApiDeps, service: Service, name: ProjectName): Promise<void> {
  const project = await deps.store.projects.get(name)
  if (service === 'git-receive-pack' && project && project.repository !== null)
    throw new SlipwayError('conflict', `The source of ${name} is ${project.repository}: push there`)
  if (service === 'git-upload-pack' && !project && !(await hasRepository(deps.config.dataDir, name)))
    throw new SlipwayError('not-found', `There is no project ${name}`)
  await ensureRepository(deps.config.dataDir, name, project?.defaultBranch ?? 'main')
}

function projectOf({ ns, repo }: Params): ProjectName {
  const name = ProjectName.safeParse(`${ns}/${repo.replace(/\.git$/, '')}`)
  if (!repo.endsWith('.git') || !name.success)
    throw new SlipwayError('not-found', `There is no repository ${ns}/${repo}: it is NS/NAME.git in lower case`)
  return name.data
}
