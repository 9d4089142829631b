import { z } from 'zod'
import { Digest } from './digest.ts'
import { BuildError } from './errors.ts'
import { BuildId, CommitSha, ProjectName, RolloutId, StepId } from './ids.ts'

export const BuildStatus = z.enum(['queued', 'running', 'succeeded', 'failed', 'cancelled', 'superseded', 'skipped'])
export type BuildStatus = z.infer<typeof BuildStatus>

export const StepStatus = z.enum(['waiting', 'running', 'succeeded', 'failed', 'cancelled'])
export type StepStatus = z.infer<typeof StepStatus>

/** One vertex of the build's plan as a page shows it. */
export const BuildStep = z.object({
  id: StepId,
  stage: z.string(),
  title: z.string(),
  /** Line of the instruction in the Dockerfile, from 1; null for steps that no line names. */
  line: z.number().int().positive().nullable(),
  status: StepStatus,
  cached: z.boolean(),
  missReason: z.string().nullable(),
  startedAtMs: z.number().nullable(),
  finishedAtMs: z.number().nullable(),
  exitCode: z.number().int().nullable(),
})
export type BuildStep = z.infer<typeof BuildStep>

/** A rule of the linter that the build's Dockerfile breaks. */
export const BuildWarning = z.object({
  /** `StageNameCasing`: a name that users know from other builders. */
  rule: z.string(),
  /** What is wrong at this place. */
  message: z.string(),
  /** What the rule asks for. */
  description: z.string(),
  /** Where the rule is explained; empty for none. */
  url: z.string(),
  file: z.string(),
  /** First and last line in the Dockerfile, from 1. */
  line: z.number().int().positive(),
  lastLine: z.number().int().positive(),
  excerpt: z.string(),
})
export type BuildWarning = z.infer<typeof BuildWarning>

/** A warning on one line, as the log has it. */
export function warningLine({ rule, message, line }: BuildWarning): string {
  return `Warning: ${rule}: ${message} (line ${line})`
}

/** What a build is asked to do: fixed when it is queued. */
export const BuildOrder = z.object({
  id: BuildId,
  project: ProjectName,
  number: z.number().int().positive(),
  trigger: z.enum(['push', 'manual', 'retry', 'trigger-url', 'pull-request', 'base-image']),
  ref: z.string(),
  commit: CommitSha,
  message: z.string().nullable(),
  author: z.string().nullable(),
  /** Index of the project's rule that asked for it; null for a manual build without one. */
  rule: z.number().int().nonnegative().nullable(),
  tags: z.array(z.string()),
  dockerfile: z.string(),
  context: z.string(),
  target: z.string().nullable(),
  buildArgs: z.record(z.string(), z.string()),
  useCache: z.boolean(),
  push: z.boolean(),
  /** Its source is of a stranger, approved by somebody: it shares no cache that trusted builds read. */
  isFork: z.boolean().optional(),
  deploy: z.array(z.object({ namespace: z.string(), deployment: z.string(), container: z.string() })),
})
export type BuildOrder = z.infer<typeof BuildOrder>

/** A build as everybody sees it: the fold of its events. */
export const Build = BuildOrder.extend({
  status: BuildStatus,
  attempt: z.number().int().nonnegative(),
  worker: z.string().nullable(),
  image: z.object({ name: z.string(), digest: Digest, sizeBytes: z.number().int() }).nullable(),
  steps: z.array(BuildStep),
  queuedAtMs: z.number(),
  startedAtMs: z.number().nullable(),
  finishedAtMs: z.number().nullable(),
  /** Why it is not running yet, in words; null once it runs. */
  waitingFor: z.string().nullable(),
  rollouts: z.array(RolloutId),
  error: BuildError.nullable(),
  /** What the linter says of the Dockerfile. Older records have none. */
  warnings: z.array(BuildWarning).default([]),
  /** Lines of log so far; the next line gets this number plus one. */
  logLines: z.number().int().nonnegative(),
})
export type Build = z.infer<typeof Build>

/** Whether nothing more will happen to the build itself. */
export function isFinal(status: BuildStatus): boolean {
  return status !== 'queued' && status !== 'running'
}
