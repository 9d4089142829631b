import type { Build } from '#domain/build'
import type { Verdict } from '#domain/delivery'
import type { BuildId, DeliveryId } from '#domain/ids'
import type { ApiDeps } from '../deps.ts'
import { type Judged, refused, type TrustedHook } from './trusted-hook.ts'

/**
 * A delivery id works once. Handling that broke half-way is taken back, so that the provider's next try counts. `act` is
 * given the key from which the ids of builds derive: the same for every try.
 */
export async function handleOnce(
  deps: ApiDeps,
  hook: TrustedHook,
  act: (key: string) => Promise<Judged>,
): Promise<Judged> {
  const externalId = hook.provider.externalId(hook.headers)
  if (hook.occasion.kind !== 'received' || externalId === null) return act(hook.delivery)
  const earlier = await deps.store.deliveries.claimExternalId(hook.project, externalId, hook.delivery)
  if (earlier) return repeated(deps, hook, earlier, () => act(externalId))
  try {
    return await act(externalId)
  } catch (error) {
    await deps.store.deliveries.releaseExternalId(hook.project, externalId)
    throw error
  }
}

async function repeated(
  deps: ApiDeps,
  { occasion }: TrustedHook,
  earlier: { id: DeliveryId; verdict: Verdict },
  again: () => Promise<Judged>,
): Promise<Judged> {
  const record = await deps.store.deliveries.get(earlier.id)
  const isOther =
    occasion.kind === 'received' &&
    record !== null &&
    (record.body !== occasion.scrubbed || record.bodyBytes !== occasion.bodyBytes)
  if (isOther) return refused(409, `delivery ${record.externalId} was seen before with another body (${record.id})`)
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
