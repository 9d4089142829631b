import type { Build } from '#domain/build'
import type { Ignored } from '#domain/delivery'
import type { Project } from '#domain/project'
import { readRef } from '#domain/push'
import type { Store } from '#store/contract'
import { cancelBuildsOf } from '../builds/cancel-builds-of.ts'
import { type RequestedBuilds, requestBuilds } from '../builds/request-builds.ts'
import type { ReadPush } from './provider.ts'
import type { Judged } from './trusted-hook.ts'

/** Builds what was pushed, and stops the builds of what was deleted. One event may change several refs. */
export async function handlePushes(
  store: Store,
  project: Project,
  pushes: readonly ReadPush[],
  key: string,
): Promise<Judged> {
  const builds: Build[] = []
  const ignored: Ignored[] = []
  const deletions: string[] = []
  for (const one of pushes) {
    if (one.push.commit === null) {
      deletions.push(await handleDeletion(store, project, one.push.ref))
      continue
    }
    const outcome = await buildPush(store, project, one, `${key} ${one.push.ref}`)
    builds.push(...outcome.builds)
    ignored.push(...outcome.ignored)
  }
  const deleted = deletions.map((reason) => ({ rule: null, reason }))
  if (builds.length > 0)
    return {
      verdict: { kind: 'accepted', builds: builds.map(({ id }) => id), ignored: [...ignored, ...deleted] },
      builds,
    }
  const reason = deletions.length === pushes.length ? deletions.join('; ') : 'no rule asks for a build'
  return { verdict: { kind: 'ignored', reason, ignored: ignored.length > 0 ? [...ignored, ...deleted] : [] }, builds }
}

async function buildPush(
  store: Store,
  project: Project,
  { push, changedPaths, skip }: ReadPush,
  key: string,
): Promise<RequestedBuilds> {
  const { ref, commit, message, pusher } = push
  const source = readRef(ref)
  if (!source || commit === null) return { builds: [], ignored: [{ rule: null, reason: `${ref} is no branch or tag` }] }
  if (skip) return { builds: [], ignored: [{ rule: null, reason: skip }] }
  return requestBuilds(store, { project, ref, source, commit, message, author: pusher, changedPaths, key })
}

async function handleDeletion(store: Store, project: Project, ref: string): Promise<string> {
  const reason = `${ref} was deleted`
  const cancelled = await cancelBuildsOf(store, project.name, (build) => build.ref === ref, reason)
  return cancelled === 0 ? reason : `${reason}; ${cancelled} of its builds cancelled`
}
