import { z } from 'zod'
import { BuildId, CommitSha, DeliveryId, ProjectName } from './ids.ts'

export const Provider = z.enum([
  'github',
  'gitlab',
  'gitea',
  'forgejo',
  'gogs',
  'bitbucket',
  'registry',
  'generic',
  'trigger',
  'git',
])
export type Provider = z.infer<typeof Provider>

/** Why a rule or a whole event made no build. */
export const Ignored = z.object({ rule: z.number().int().nullable(), reason: z.string() })
export type Ignored = z.infer<typeof Ignored>

/** What became of an incoming webhook or push. */
export const Verdict = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('accepted'), builds: z.array(BuildId), ignored: z.array(Ignored) }),
  z.object({ kind: z.literal('ignored'), reason: z.string(), ignored: z.array(Ignored) }),
  /** A fork's pull request: this very commit is built once somebody has approved it. */
  z.object({
    kind: z.literal('waiting'),
    reason: z.string(),
    pullRequest: z.number().int(),
    commit: CommitSha,
    ignored: z.array(Ignored),
  }),
  z.object({ kind: z.literal('answered'), reason: z.string() }),
  z.object({ kind: z.literal('duplicate'), of: DeliveryId, builds: z.array(BuildId) }),
  z.object({ kind: z.literal('rejected'), status: z.number().int(), reason: z.string() }),
])
export type Verdict = z.infer<typeof Verdict>

/** One incoming request as the delivery log keeps it. Headers and body are scrubbed of secrets before they are stored. */
export const Delivery = z.object({
  id: DeliveryId,
  project: ProjectName.nullable(),
  provider: Provider,
  event: z.string().max(128),
  /** The provider's own id of the delivery, which a redelivery keeps. */
  externalId: z.string().max(256).nullable(),
  receivedAtMs: z.number(),
  answeredInMs: z.number(),
  headers: z.record(z.string(), z.string()),
  body: z.string(),
  bodyBytes: z.number().int(),
  verdict: Verdict,
})
export type Delivery = z.infer<typeof Delivery>
