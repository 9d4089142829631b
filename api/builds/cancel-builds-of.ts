import type { Build } from '#domain/build'
import type { ProjectName } from '#domain/ids'
import type { Store } from '#store/contract'

/** More builds of all projects never run at once. */
const MAX_RUNNING = 200

/** Cancels the project's queued and running builds that fit; how many that were. */
export async function cancelBuildsOf(
  store: Store,
  project: ProjectName,
  fits: (build: Build) => boolean,
  reason: string,
): Promise<number> {
  const running = await store.builds.list({ status: 'running' }, null, MAX_RUNNING)
  const open = [...(await store.builds.queued()), ...running.items]
  let cancelled = 0
  for (const build of open) {
    if (build.project !== project || !fits(build)) continue
    if (await store.builds.cancel(build.id, reason, Date.now())) cancelled++
  }
  return cancelled
}
