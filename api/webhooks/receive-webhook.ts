import type { IncomingHttpHeaders } from 'node:http'
import type { Build } from '#domain/build'
import type { Delivery, Verdict } from '#domain/delivery'
import { messageOf } from '#domain/errors'
import { DeliveryId, type ProjectName } from '#domain/ids'
import { newId } from '#host/new-id'
import type { ProjectSecrets } from '#store/contract'
import type { ApiDeps } from '../deps.ts'
import { detectProvider, providerNamed } from './detect-provider.ts'
import { handleEvent } from './handle-event.ts'
import { scrubBody, scrubHeaders } from './scrub-delivery.ts'
import { type Judged, refused } from './trusted-hook.ts'

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
  const isKnown = (await deps.store.projects.get(hook.project)) !== null
  const secrets = isKnown ? await deps.store.projects.secrets(hook.project) : NO_SECRETS
  // A stranger's body is not kept: anybody can send one.
  const scrubbed = isKnown ? scrubBody(hook, secrets) : ''
  const kept = { ...describe(hook), project: isKnown ? hook.project : null, body: scrubbed }
  return recordJudged(deps, kept, async (id) =>
    isKnown ? judge(deps, hook, { secrets, scrubbed }, id) : refused(404, 'there is no such project'),
  )
}

/** Judges a request, and records what it was with what became of it. */
export async function recordJudged(
  deps: ApiDeps,
  request: Omit<Delivery, 'id' | 'receivedAtMs' | 'answeredInMs' | 'verdict'>,
  judge: (id: DeliveryId) => Promise<Judged>,
): Promise<ReceivedHook> {
  const receivedAtMs = Date.now()
  const id = DeliveryId.parse(newId('dlv', receivedAtMs))
  const record = (verdict: Verdict) =>
    deps.store.deliveries.record({ ...request, id, receivedAtMs, answeredInMs: Date.now() - receivedAtMs, verdict })
  try {
    const judged = await judge(id)
    await record(judged.verdict)
    return { delivery: id, ...judged }
  } catch (error) {
    await record({ kind: 'rejected', status: 500, reason: `our own fault: ${messageOf(error)}` })
    throw error
  }
}

async function judge(
  deps: ApiDeps,
  hook: IncomingHook,
  { secrets, scrubbed }: { secrets: ProjectSecrets; scrubbed: string },
  id: DeliveryId,
): Promise<Judged> {
  const provider = providerNamed(detectProvider(hook.headers))
  if (!provider) return refused(422, 'webhooks of this kind are not supported')
  const reason = await provider.refuse(hook.body, hook.headers, secrets)
  if (reason !== null) return refused(401, reason)
  const occasion = { kind: 'received', scrubbed, bodyBytes: hook.body.length } as const
  return handleEvent(deps, { ...hook, provider, delivery: id, occasion })
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
