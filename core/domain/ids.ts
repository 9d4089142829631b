import { z } from 'zod'

const id = (prefix: string) =>
  z.string().regex(new RegExp(`^${prefix}_[0-9a-z]{8,40}$`), `an id that starts with ${prefix}_`)

export const BuildId = id('bld').brand<'BuildId'>()
export type BuildId = z.infer<typeof BuildId>

/** Unique within its build: the same step of a rebuild may carry the same id. */
export const StepId = id('stp').brand<'StepId'>()
export type StepId = z.infer<typeof StepId>

export const DeliveryId = id('dlv').brand<'DeliveryId'>()
export type DeliveryId = z.infer<typeof DeliveryId>

export const RolloutId = id('rol').brand<'RolloutId'>()
export type RolloutId = z.infer<typeof RolloutId>

export const WorkerId = id('wrk').brand<'WorkerId'>()
export type WorkerId = z.infer<typeof WorkerId>

/** `NS/NAME`, both of which are also valid repository path parts of a registry. */
export const ProjectName = z
  .string()
  .max(128)
  .regex(
    /^[a-z0-9]+(?:[._-][a-z0-9]+)*\/[a-z0-9]+(?:[._-][a-z0-9]+)*$/,
    'a project is NS/NAME in lower-case letters, digits and single . _ - between them',
  )
  .brand<'ProjectName'>()
export type ProjectName = z.infer<typeof ProjectName>

/** A git object name. */
export const CommitSha = z
  .string()
  .regex(/^[0-9a-f]{40}$/, 'a commit is 40 lower-case hex digits')
  .brand<'CommitSha'>()
export type CommitSha = z.infer<typeof CommitSha>
