import type { IncomingHttpHeaders } from 'node:http'
import { SlipwayError } from '#domain/errors'
import type { ProjectName } from '#domain/ids'
import type { ApiDeps } from '../deps.ts'
import { type ReceivedHook, recordJudged } from './receive-webhook.ts'
import { scrubBody, scrubHeaders } from './scrub-delivery.ts'
import { handleTrigger } from './trigger.ts'

export interface IncomingTrigger {
  project: ProjectName
  token: string
  headers: IncomingHttpHeaders
  body: Buffer
}

/** Fails with kind `not-found` for a wrong token: nobody is told which projects there are. */
export async function checkTrigger({ store }: ApiDeps, project: ProjectName, token: string): Promise<string> {
  const known = token.length <= 256 ? await store.triggers.check(project, token) : null
  if (!known) throw new SlipwayError('not-found', 'There is no such trigger')
  return known.id
}

/** Runs a trigger and records it. The token is in no record: which one it was is told by its id. */
export async function receiveTrigger(deps: ApiDeps, trigger: IncomingTrigger): Promise<ReceivedHook> {
  const { project, headers, body, token } = trigger
  const id = await checkTrigger(deps, project, token)
  const secrets = await deps.store.projects.secrets(project)
  const kept = {
    project,
    provider: 'trigger' as const,
    event: id,
    externalId: null,
    headers: scrubHeaders(headers),
    body: scrubBody({ body }, secrets).replaceAll(token, '[removed]'),
    bodyBytes: body.length,
  }
  return recordJudged(deps, kept, (delivery) => handleTrigger(deps, { project, headers, body, delivery }))
}
