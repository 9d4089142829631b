import type { Delivery } from '#domain/delivery'
import { SlipwayError } from '#domain/errors'
import { DeliveryId } from '#domain/ids'
import { newId } from '#host/new-id'
import type { ApiDeps } from '../deps.ts'
import { providerNamed } from './detect-provider.ts'
import { handleEvent } from './handle-event.ts'
import { MAX_STORED_BODY_BYTES } from './scrub-delivery.ts'

/** Handles a stored delivery once more, because a person asks: it makes new builds, and a record of its own. */
export async function redeliver(deps: ApiDeps, earlier: Delivery): Promise<Delivery> {
  const { project, body, headers } = earlier
  const provider = providerNamed(earlier.provider)
  const no = (why: string) => new SlipwayError('conflict', `Delivery ${earlier.id} cannot be run again: ${why}`)
  if (!provider || project === null) throw no(`it is no webhook of a known project`)
  if (earlier.verdict.kind === 'rejected' && earlier.verdict.status === 401)
    throw no('it was never known to be authentic')
  if (Buffer.byteLength(body) >= MAX_STORED_BODY_BYTES) throw no('its body was too large to be kept whole')
  const receivedAtMs = Date.now()
  const id = DeliveryId.parse(newId('dlv', receivedAtMs))
  const hook = { project, provider, headers, body: Buffer.from(body), delivery: id, dedupe: null }
  const { verdict } = await handleEvent(deps, hook)
  const delivery = { ...earlier, id, receivedAtMs, answeredInMs: Date.now() - receivedAtMs, verdict }
  await deps.store.deliveries.record(delivery)
  return delivery
}
