import type { Delivery } from '#domain/delivery'
import { SlipwayError } from '#domain/errors'
import { type CommitSha, DeliveryId } from '#domain/ids'
import { newId } from '#host/new-id'
import type { ApiDeps } from '../deps.ts'
import { providerNamed } from './detect-provider.ts'
import { handleEvent } from './handle-event.ts'
import { MAX_STORED_BODY_BYTES } from './scrub-delivery.ts'
import { handleTrigger } from './trigger.ts'
import type { Judged, Occasion } from './trusted-hook.ts'

/** Handles a stored delivery once more, because a person asks: it makes new builds, and a record of its own. */
export async function redeliver(deps: ApiDeps, earlier: Delivery): Promise<Delivery> {
  const receivedAtMs = Date.now()
  const id = DeliveryId.parse(newId('dlv', receivedAtMs))
  const { verdict } = await handleStored(deps, { ...earlier, id }, { kind: 'again' }, earlier.id)
  const delivery = { ...earlier, id, receivedAtMs, answeredInMs: Date.now() - receivedAtMs, verdict }
  await deps.store.deliveries.record(delivery)
  return delivery
}

/** Builds a fork's pull request at the one commit that a person has looked at; the delivery gets its new verdict. */
export async function approveDelivery(deps: ApiDeps, earlier: Delivery, commit: CommitSha): Promise<Delivery> {
  const { verdict, project } = earlier
  if (verdict.kind !== 'waiting' || project === null)
    throw new SlipwayError('conflict', `Delivery ${earlier.id} waits for no approval: it is ${verdict.kind}`)
  if (verdict.commit !== commit)
    throw new SlipwayError('conflict', `Delivery ${earlier.id} is of commit ${verdict.commit}, not of ${commit}`)
  await deps.store.deliveries.approve(project, `${verdict.pullRequest} ${commit}`)
  const judged = await handleStored(deps, earlier, { kind: 'approved' }, earlier.id)
  const delivery = { ...earlier, verdict: judged.verdict }
  await deps.store.deliveries.record(delivery)
  return delivery
}

async function handleStored(deps: ApiDeps, stored: Delivery, occasion: Occasion, shownAs: DeliveryId): Promise<Judged> {
  const { project, body, headers, verdict } = stored
  const no = (why: string) => new SlipwayError('conflict', `Delivery ${shownAs} cannot be run again: ${why}`)
  if (project === null) throw no('it is of no known project')
  if (verdict.kind === 'rejected' && (verdict.status === 401 || verdict.status === 404))
    throw no('it was never known to be authentic')
  if (stored.bodyBytes >= MAX_STORED_BODY_BYTES) throw no('its body was too large to be kept whole')
  const hook = { project, headers, body: Buffer.from(body), delivery: stored.id }
  if (stored.provider === 'trigger') return handleTrigger(deps, hook)
  const provider = providerNamed(stored.provider)
  if (!provider) throw no('it was no webhook')
  return handleEvent(deps, { ...hook, provider, occasion })
}
