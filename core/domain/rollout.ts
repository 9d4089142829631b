import { z } from 'zod'
import { Digest } from './digest.ts'
import { BuildId, ProjectName, RolloutId } from './ids.ts'
import { DeployTarget } from './project.ts'

export const RolloutStatus = z.enum([
  'pending',
  'progressing',
  'succeeded',
  'failed',
  'rolled-back',
  'superseded',
  'cancelled',
])
export type RolloutStatus = z.infer<typeof RolloutStatus>

/** One image going live on one Deployment. */
export const Rollout = z.object({
  id: RolloutId,
  project: ProjectName,
  build: BuildId,
  target: DeployTarget,
  /** `HOST/NS/NAME@sha256:…`: rollouts are by digest only. */
  image: z.string(),
  digest: Digest,
  status: RolloutStatus,
  message: z.string(),
  replicas: z.object({ desired: z.number(), updated: z.number(), ready: z.number(), available: z.number() }),
  requestedAtMs: z.number(),
  startedAtMs: z.number().nullable(),
  finishedAtMs: z.number().nullable(),
})
export type Rollout = z.infer<typeof Rollout>
