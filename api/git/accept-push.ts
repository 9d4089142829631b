import type { Build } from '#domain/build'
import type { Ignored, Verdict } from '#domain/delivery'
import { SlipwayError } from '#domain/errors'
import { DeliveryId, type ProjectName } from '#domain/ids'
import type { Project } from '#domain/project'
import { readRef } from '#domain/push'
import { newId } from '#host/new-id'
import { requestBuilds } from '../builds/request-builds.ts'
import type { ApiDeps } from '../deps.ts'
import { createProject } from '../projects/create-project.ts'
import type { RefUpdate } from './ref-updates.ts'
import { changedPaths, readCommit, repositoryDir, setHead } from './repositories.ts'

export interface GitPush {
  /** The same push asks for the same builds, however often it is handled. */
  id: string
  project: ProjectName
  pusher: string
  updates: RefUpdate[]
}

export interface AcceptedPush {
  builds: Build[]
  /** What made no build, in words for the pusher. */
  notes: string[]
}

/** What follows from a push that git has already taken: the project if it is new, its builds, and a record of it. */
export async function acceptPush(deps: ApiDeps, push: GitPush): Promise<AcceptedPush> {
  const receivedAtMs = Date.now()
  const delivery = DeliveryId.parse(newId('dlv', receivedAtMs))
  const project = (await deps.store.projects.get(push.project)) ?? (await createFor(deps, push))
  const builds: Build[] = []
  const ignored: Ignored[] = []
  const notes: string[] = []
  for (const update of push.updates) {
    const outcome = await buildsOf(deps, project, update, { pusher: push.pusher, key: `push ${push.id} ${update.ref}` })
    builds.push(...outcome.builds)
    ignored.push(...outcome.ignored)
    if (outcome.builds.length === 0)
      notes.push(`${update.ref}: no build (${outcome.ignored.map(({ reason }) => reason).join('; ') || 'no rules'})`)
  }
  await record(deps, push, { delivery, receivedAtMs, builds, ignored })
  return { builds, notes }
}

async function buildsOf(deps: ApiDeps, project: Project, update: RefUpdate, by: { pusher: string; key: string }) {
  const nothing = (reason: string) => ({ builds: [], ignored: [{ rule: null, reason }] })
  const source = readRef(update.ref)
  if (update.after === null) return nothing(`${update.ref} was deleted`)
  if (!source) return nothing(`${update.ref} is no branch or tag`)
  const dir = repositoryDir(deps.config.dataDir, project.name)
  const facts = await readCommit(dir, update.after)
  if (!facts) return nothing(`${update.ref} is no commit`)
  const changed =
    update.before && source.source === 'branch' ? await changedPaths(dir, update.before, update.after) : null
  return requestBuilds(deps.store, { project, ref: update.ref, source, ...facts, changedPaths: changed, key: by.key })
}

/** A first push makes the project: the branch it brings is the default one, and is built by the default rules. */
async function createFor(deps: ApiDeps, push: GitPush): Promise<Project> {
  const branches = push.updates
    .filter(({ after }) => after !== null)
    .flatMap(({ ref }) => (ref.startsWith('refs/heads/') ? [ref.slice('refs/heads/'.length)] : []))
  const defaultBranch = ['main', 'master'].find((name) => branches.includes(name)) ?? branches[0] ?? 'main'
  await setHead(repositoryDir(deps.config.dataDir, push.project), defaultBranch)
  try {
    return await createProject(deps.store, { name: push.project, defaultBranch })
  } catch (error) {
    const existing = await deps.store.projects.get(push.project)
    if (error instanceof SlipwayError && error.kind === 'already-exists' && existing) return existing
    throw error
  }
}

async function record(
  deps: ApiDeps,
  push: GitPush,
  of: { delivery: DeliveryId; receivedAtMs: number; builds: Build[]; ignored: Ignored[] },
): Promise<void> {
  const { ignored } = of
  const verdict: Verdict =
    of.builds.length > 0
      ? { kind: 'accepted', builds: of.builds.map(({ id }) => id), ignored }
      : { kind: 'ignored', reason: 'no rule asks for a build', ignored }
  const body = JSON.stringify({ pusher: push.pusher, updates: push.updates })
  await deps.store.deliveries.record({
    id: of.delivery,
    project: push.project,
    provider: 'git',
    event: 'push',
    externalId: null,
    receivedAtMs: of.receivedAtMs,
    answeredInMs: Date.now() - of.receivedAtMs,
    headers: {},
    body,
    bodyBytes: Buffer.byteLength(body),
    verdict,
  })
}
