import { z } from 'zod'
import { CommitSha } from '#domain/ids'
import { RefName } from '#domain/push'
import { firstHeader } from './header.ts'
import { isDockerHubPush, readDockerHubPush } from './image-events.ts'
import type { HookProvider } from './provider.ts'
import { NO_SECRET, refuseAuthorization, refuseHmac, refuseStandard } from './signatures.ts'

/** What any git server, CI or script may send. Documented in OpenAPI. */
export const GenericPush = z
  .object({
    ref: RefName.describe('Full name of what was pushed: refs/heads/… or refs/tags/…'),
    commit: CommitSha.nullable().describe('The commit to build; null where the ref was deleted'),
    before: CommitSha.nullish().describe('The commit that the ref named before'),
    repository: z
      .string()
      .max(2048)
      .nullish()
      .describe("Clone URL; if given, it must be the project's, so that a wrong hook is noticed"),
    message: z.string().nullish().describe('Message of the commit; [skip ci] in it is heeded'),
    author: z.string().nullish(),
    changedPaths: z
      .array(z.string().max(4096))
      .max(100_000)
      .nullish()
      .describe('Every path that the push changed; leave it out rather than list a part'),
  })
  .describe('A push')

export const generic: HookProvider = {
  name: 'generic',
  acceptsForms: false,
  event: () => 'push',
  externalId: (headers) => firstHeader(headers, ['webhook-id', 'idempotency-key']),
  refuse(body, headers, { webhookSecret, webhookSigningToken }) {
    // A configured signing token is the only thing that counts.
    if (webhookSigningToken) return refuseStandard(headers, body, webhookSigningToken)
    if (!webhookSecret) return NO_SECRET
    if ('x-hub-signature-256' in headers)
      return refuseHmac({ headerName: 'X-Hub-Signature-256', prefix: 'sha256=' }, headers, body, webhookSecret)
    if ('authorization' in headers) return refuseAuthorization(headers, webhookSecret)
    return 'neither X-Hub-Signature-256, nor webhook-signature, nor Authorization: Bearer was sent'
  },
  read(_event, payload) {
    if (z.object({ ping: z.literal(true) }).safeParse(payload).success) return { kind: 'answered', reason: 'ping' }
    if (isDockerHubPush(payload)) return readDockerHubPush(payload)
    const { ref, commit, before, repository, message, author, changedPaths } = GenericPush.parse(payload)
    const push = {
      ref,
      commit,
      before: before ?? null,
      repository: repository ?? null,
      defaultBranch: null,
      pusher: author ?? null,
      message: message ?? null,
    }
    const pushes = [{ push, changedPaths: changedPaths ?? null }]
    return { kind: 'pushes', pushes, repository: repository ? { urls: [repository] } : 'unnamed' }
  },
}
