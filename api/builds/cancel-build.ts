import { type Build, isFinal } from '#domain/build'
import { SlipwayError } from '#domain/errors'
import type { BuildId } from '#domain/ids'
import type { Store } from '#store/contract'

/** Cancels a queued build at once, and tells the worker of a running one. Cancelling twice is no error. */
export async function cancelBuild(store: Store, id: BuildId): Promise<Build> {
  const build = await store.builds.get(id)
  if (!build) throw new SlipwayError('not-found', `There is no build ${id}`)
  const wasTold = !isFinal(build.status) && (await store.builds.cancel(id, 'cancelled by a person', Date.now()))
  const after = await store.builds.get(id)
  if (!after) throw new SlipwayError('not-found', `There is no build ${id}`)
  if (!wasTold && after.status !== 'cancelled')
    throw new SlipwayError(
      'conflict',
      `Build ${after.project} ${after.number} has ${after.status} and cannot be cancelled`,
    )
  return after
}
