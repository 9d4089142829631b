import { z } from 'zod'

/** A token of a project's trigger URL as it may be shown: the secret part is shown once, when it is made. */
export const TriggerToken = z.object({
  id: z.string().regex(/^trg_[0-9a-z]{8,40}$/, 'an id that starts with trg_'),
  label: z.string().max(128),
  createdAtMs: z.number(),
})
export type TriggerToken = z.infer<typeof TriggerToken>
