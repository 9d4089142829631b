import type { BuildEvent } from '#domain/build-event'
import { SlipwayError } from '#domain/errors'
import type { BuildId, RolloutId } from '#domain/ids'
import type { Rollout } from '#domain/rollout'
import type { Store } from '#store/contract'

/**
 * Records how a rollout goes, and tells the builds that follow it. Events come first: if this is cut short, the rollout
 * is still open, and the next worker says it again. A build may begin to follow while the record becomes final; it is
 * told afterwards.
 */
export async function reportRollout(
  { store, now }: { store: Store; now: () => number },
  id: RolloutId,
  change: Partial<Rollout>,
): Promise<void> {
  const { status, message } = { ...(await store.rollouts.get(id)), ...change }
  if (!status || message === undefined) return
  const isFinal = status !== 'pending' && status !== 'progressing'
  const event: BuildEvent = { kind: 'rollout-progressed', atMs: now(), rollout: id, status, message }
  const told = await tell(store, await store.rollouts.followers(id), event)
  await store.rollouts.update(id, isFinal ? { ...change, finishedAtMs: now() } : change)
  if (!isFinal) return
  const later = (await store.rollouts.followers(id)).filter((build) => !told.has(build))
  await tell(store, later, event)
}

async function tell(store: Store, builds: readonly BuildId[], event: BuildEvent): Promise<Set<BuildId>> {
  for (const build of builds) {
    try {
      await store.builds.appendAfter(build, [event])
    } catch (error) {
      // The build was removed with its project.
      if (!(error instanceof SlipwayError && error.kind === 'not-found')) throw error
    }
  }
  return new Set(builds)
}
