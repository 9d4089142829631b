import type { IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'
import type { Build } from '#domain/build'
import type { Verdict } from '#domain/delivery'
import type { BuildId, DeliveryId, ProjectName } from '#domain/ids'
import type { Project } from '#domain/project'
import { readRef } from '#domain/push'
import { repositoryKey } from '#domain/repository-url'
import { requestBuilds } from '../builds/request-builds.ts'
import type { ApiDeps } from '../deps.ts'
import type { HookEvent, HookProvider } from './provider.ts'
import { readPayload } from './read-payload.ts'

export interface Judged {
  verdict: Verdict
  builds: Build[]
}

export interface TrustedHook {
  project: ProjectName
  provider: HookProvider
  headers: IncomingHttpHeaders
  body: Buffer
  delivery: DeliveryId
  /** What the earlier delivery of this id must have looked like; null where a person asked for a second run. */
  dedupe: { scrubbed: string; bodyBytes: number } | null
}

type PushEvent = Extract<HookEvent, { kind: 'push' }>

/** Acts on a request that is known to come from the provider. */
export async function handleEvent(deps: ApiDeps, hook: TrustedHook): Promise<Judged> {
  const payload = readPayload(hook.body, hook.headers['content-type'], hook.provider.acceptsForms)
  if (!payload.ok) return refused(payload.status, payload.reason)
  const event = readEvent(hook, payload.value)
  if (typeof event === 'string') return refused(400, event)
  if (event.kind === 'answered') return without({ kind: 'answered', reason: event.reason })
  if (event.kind === 'ignored') return without({ kind: 'ignored', reason: event.reason, ignored: [] })
  const project = await deps.store.projects.get(hook.project)
  if (!project) return refused(404, 'there is no such project')
  if (!namesRepositoryOf(project, event)) return refused(422, `the event is of another repository than this project's`)
  return event.push.commit === null
    ? without({ kind: 'ignored', reason: `${event.push.ref} was deleted`, ignored: [] })
    : buildOnce(deps, hook, project, event)
}

export function refused(status: number, reason: string): Judged {
  return without({ kind: 'rejected', status, reason })
}

const without = (verdict: Verdict): Judged => ({ verdict, builds: [] })

function readEvent(hook: TrustedHook, payload: unknown): HookEvent | string {
  try {
    return hook.provider.read(hook.provider.event(hook.headers), payload)
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error
    const issues = error.issues.slice(0, 5).map(({ path, message }) => `${path.join('.') || 'payload'}: ${message}`)
    return `the payload is not what ${hook.provider.name} sends: ${issues.join('; ')}`
  }
}

function namesRepositoryOf(project: Project, event: PushEvent): boolean {
  if (project.repository === null) return true
  const key = repositoryKey(project.repository)
  return event.repositories.some((url) => repositoryKey(url) === key)
}

/** A delivery id works once. Handling that broke half-way is taken back, so that the provider's next try counts. */
async function buildOnce(deps: ApiDeps, hook: TrustedHook, project: Project, event: PushEvent): Promise<Judged> {
  const externalId = hook.provider.externalId(hook.headers)
  if (!hook.dedupe || externalId === null) return build(deps.store, project, event, hook.delivery)
  const earlier = await deps.store.deliveries.claimExternalId(project.name, externalId, hook.delivery)
  if (earlier) return repeated(deps, hook, earlier, () => build(deps.store, project, event, externalId))
  try {
    return await build(deps.store, project, event, externalId)
  } catch (error) {
    await deps.store.deliveries.releaseExternalId(project.name, externalId)
    throw error
  }
}

async function repeated(
  deps: ApiDeps,
  hook: TrustedHook,
  earlier: { id: DeliveryId; verdict: Verdict },
  again: () => Promise<Judged>,
): Promise<Judged> {
  const record = await deps.store.deliveries.get(earlier.id)
  if (record && (record.body !== hook.dedupe?.scrubbed || record.bodyBytes !== hook.dedupe.bodyBytes))
    return refused(409, `delivery ${record.externalId} was seen before with another body (${record.id})`)
  // The first one is still in hand or ended in our own fault: the build ids derive from the event, so nothing is doubled.
  const isOurFault = record?.verdict.kind === 'rejected' && record.verdict.status >= 500
  const builds = record && !isOurFault ? await earlierBuilds(deps, record.verdict) : (await again()).builds
  const ids = builds.map((build) => build.id)
  return { verdict: { kind: 'duplicate', of: earlier.id, builds: ids }, builds }
}

async function earlierBuilds(deps: ApiDeps, verdict: Verdict): Promise<Build[]> {
  const ids: BuildId[] = verdict.kind === 'accepted' || verdict.kind === 'duplicate' ? verdict.builds : []
  const builds = await Promise.all(ids.map((id) => deps.store.builds.get(id)))
  return builds.filter((build) => build !== null)
}

async function build(store: ApiDeps['store'], project: Project, event: PushEvent, key: string): Promise<Judged> {
  const { ref, commit, message, pusher } = event.push
  const source = readRef(ref)
  if (!source || commit === null) return without({ kind: 'ignored', reason: `${ref} is no branch or tag`, ignored: [] })
  const { changedPaths } = event
  const request = { project, ref, source, commit, message, author: pusher, changedPaths, key }
  const { builds, ignored } = await requestBuilds(store, request)
  if (builds.length === 0) return without({ kind: 'ignored', reason: 'no rule asks for a build', ignored })
  return { verdict: { kind: 'accepted', builds: builds.map(({ id }) => id), ignored }, builds }
}
