import type { IncomingHttpHeaders } from 'node:http'
import type { Build } from '#domain/build'
import type { Delivery, Verdict } from '#domain/delivery'
import { messageOf } from '#domain/errors'
import { DeliveryId, type ProjectName } from '#domain/ids'
import { newId } from '#host/new-id'
import type { ProjectSecrets } from '#store/contract'
import type { ApiDeps } from '../deps.ts'
import { detectProvider, providerNamed } from './detect-provider.ts'
import { handleEvent, type Judged, refused } from './handle-event.ts'
import { scrubBody, scrubHeaders } from './scrub-delivery.ts'

export interface IncomingHook {
  project: ProjectName
  headers: IncomingHttpHeaders
  body: Buffer
}

export interface ReceivedHook {
  delivery: DeliveryId
  verdict: Verdict
  builds: Build[]
}

const NO_SECRETS: ProjectSecrets = { webhookSecret: null, webhookSigningToken: null }

/** Judges one webhook and records it with its verdict, whatever that is; fails only by a fault of our own. */
export async function receiveWebhook(deps: ApiDeps, hook: IncomingHook): Promise<ReceivedHook> {
  const receivedAtMs = Date.now()
  const delivery = DeliveryId.parse(newId('dlv', receivedAtMs))
  const isKnown = (await deps.store.projects.get(hook.project)) !== null
  const secrets = isKnown ? await deps.store.projects.secrets(hook.project) : NO_SECRETS
  const record = async (verdict: Verdict) => {
    const answeredInMs = Date.now() - receivedAtMs
    // A stranger's body is not kept: anybody can send one.
    const body = isKnown ? scrubBody(hook.body, secrets) : ''
    const project = isKnown ? hook.project : null
    await deps.store.deliveries.record({
      ...describe(hook),
      id: delivery,
      project,
      receivedAtMs,
      answeredInMs,
      body,
      verdict,
    })
  }
  try {
    const judged = isKnown ? await judge(deps, hook, secrets, delivery) : refused(404, `there is no such project`)
    await record(judged.verdict)
    return { delivery, ...judged }
  } catch (error) {
    await record({ kind: 'rejected', status: 500, reason: `our own fault: ${messageOf(error)}` })
    throw error
  }
}

async function judge(deps: ApiDeps, hook: IncomingHook, secrets: ProjectSecrets, id: DeliveryId): Promise<Judged> {
  const name = detectProvider(hook.headers)
  const provider = providerNamed(name)
  if (!provider) return refused(422, `webhooks of kind "${name}" are not supported yet`)
  const reason = await provider.refuse(hook.body, hook.headers, secrets)
  if (reason !== null) return refused(401, reason)
  const scrubbed = scrubBody(hook.body, secrets)
  return handleEvent(deps, { ...hook, provider, delivery: id, dedupe: { scrubbed, bodyBytes: hook.body.length } })
}

/** Where the request came from, as its headers say it. */
function describe(hook: IncomingHook): Pick<Delivery, 'provider' | 'event' | 'externalId' | 'headers' | 'bodyBytes'> {
  const name = detectProvider(hook.headers)
  const provider = providerNamed(name)
  return {
    provider: name,
    event: (provider?.event(hook.headers) ?? 'unknown').slice(0, 128),
    externalId: provider?.externalId(hook.headers)?.slice(0, 256) ?? null,
    headers: scrubHeaders(hook.headers),
    bodyBytes: hook.body.length,
  }
}
