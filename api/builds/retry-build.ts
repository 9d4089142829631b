import { type Build, BuildOrder, isFinal } from '#domain/build'
import { SlipwayError } from '#domain/errors'
import { BuildId } from '#domain/ids'
import { newId } from '#host/new-id'
import type { Store } from '#store/contract'

/** Queues a new build with the order of one that has ended. */
export async function retryBuild(store: Store, id: BuildId): Promise<Build> {
  const earlier = await store.builds.get(id)
  if (!earlier) throw new SlipwayError('not-found', `There is no build ${id}`)
  if (!isFinal(earlier.status))
    throw new SlipwayError('conflict', `Build ${earlier.project} ${earlier.number} is still ${earlier.status}`)
  const order = BuildOrder.parse(earlier)
  const [build] = await store.builds.enqueue(
    [{ ...order, id: BuildId.parse(newId('bld')), trigger: 'retry' }],
    Date.now(),
  )
  if (!build) throw new SlipwayError('internal', `Build ${id} was queued again, but the store returned none`)
  return build
}
