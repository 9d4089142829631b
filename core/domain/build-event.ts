import { z } from 'zod'
import { type Build, BuildOrder, BuildStatus, BuildStep, BuildWarning, StepStatus } from './build.ts'
import { Digest } from './digest.ts'
import { BuildError } from './errors.ts'
import { CommitSha, RolloutId, StepId, WorkerId } from './ids.ts'

const atMs = z.number()

/** Everything that can happen to a build. The record of a build is the fold of its events (`applyBuildEvent`). */
export const BuildEvent = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('queued'), atMs, order: BuildOrder }),
  z.object({ kind: z.literal('waiting'), atMs, reason: z.string() }),
  /** A worker has claimed the build; `attempt` counts from 1 and resets steps, never the log's line numbers. */
  z.object({ kind: z.literal('started'), atMs, attempt: z.number().int().positive(), worker: WorkerId }),
  /** The worker of this attempt is gone; the build waits for the next one. */
  z.object({ kind: z.literal('worker-lost'), atMs, attempt: z.number().int().positive(), reason: z.string() }),
  z.object({
    kind: z.literal('source-fetched'),
    atMs,
    commit: CommitSha,
    message: z.string().nullable(),
    author: z.string().nullable(),
  }),
  z.object({
    kind: z.literal('planned'),
    atMs,
    steps: z.array(BuildStep.pick({ id: true, stage: true, title: true, line: true })),
  }),
  /** What the linter says of the Dockerfile, all at once. */
  z.object({ kind: z.literal('warnings'), atMs, warnings: z.array(BuildWarning) }),
  z.object({ kind: z.literal('step-started'), atMs, step: StepId, missReason: z.string().nullable() }),
  z.object({
    kind: z.literal('log'),
    atMs,
    step: StepId.nullable(),
    stream: z.enum(['stdout', 'stderr', 'system']),
    /**
     * Absolute number of the first line of `text`, from 1. Whole lines are numbered when they end, in the order of their
     * events: the nth line of the raw log is line n, live, stored and downloaded.
     */
    firstLine: z.number().int().positive(),
    /** Whole lines, each ended by \n. */
    text: z.string(),
    /**
     * A preview of a line that has not ended. It takes no number: `firstLine` is the one that the next line will get, and
     * whatever whole line gets it, this one or another's, takes the preview's place. No preview outlives its attempt.
     */
    unfinished: z.boolean().optional(),
  }),
  z.object({
    kind: z.literal('step-finished'),
    atMs,
    step: StepId,
    status: StepStatus.extract(['succeeded', 'failed', 'cancelled']),
    cached: z.boolean(),
    exitCode: z.number().int().nullable(),
  }),
  z.object({ kind: z.literal('image-ready'), atMs, name: z.string(), digest: Digest, sizeBytes: z.number().int() }),
  z.object({ kind: z.literal('pushed'), atMs, name: z.string(), digest: Digest, tags: z.array(z.string()) }),
  z.object({ kind: z.literal('rollout-requested'), atMs, rollout: RolloutId, target: z.string() }),
  z.object({
    kind: z.literal('rollout-progressed'),
    atMs,
    rollout: RolloutId,
    status: z.string(),
    message: z.string(),
  }),
  z.object({
    kind: z.literal('finished'),
    atMs,
    status: BuildStatus.exclude(['queued', 'running']),
    error: BuildError.nullable(),
  }),
])
export type BuildEvent = z.infer<typeof BuildEvent>

/** The build that a `queued` event begins. */
export function newBuild(order: BuildOrder, queuedAtMs: number): Build {
  return {
    ...order,
    status: 'queued',
    attempt: 0,
    worker: null,
    image: null,
    steps: [],
    queuedAtMs,
    startedAtMs: null,
    finishedAtMs: null,
    waitingFor: 'a free worker',
    rollouts: [],
    error: null,
    warnings: [],
    logLines: 0,
  }
}

/** The build after one more event. Pure: the server, the page and the tests fold with this same function. */
export function applyBuildEvent(build: Build, event: BuildEvent): Build {
  switch (event.kind) {
    case 'queued':
      return newBuild(event.order, event.atMs)
    case 'waiting':
      return { ...build, waitingFor: event.reason }
    case 'started':
      return {
        ...build,
        status: 'running',
        attempt: event.attempt,
        worker: event.worker,
        startedAtMs: event.atMs,
        waitingFor: null,
        steps: [],
        warnings: [],
      }
    case 'worker-lost':
      return { ...build, status: 'queued', worker: null, waitingFor: `a free worker (${event.reason})` }
    case 'source-fetched':
      return { ...build, commit: event.commit, message: event.message, author: event.author }
    case 'planned':
      return { ...build, steps: event.steps.map(waitingStep) }
    case 'warnings':
      return { ...build, warnings: event.warnings }
    case 'step-started':
      return changeStep(build, event.step, { status: 'running', startedAtMs: event.atMs, missReason: event.missReason })
    case 'log':
      return event.unfinished ? build : { ...build, logLines: lastLine(event.firstLine, event.text) }
    case 'step-finished':
      return finishStep(build, event)
    case 'image-ready':
      return { ...build, image: { name: event.name, digest: event.digest, sizeBytes: event.sizeBytes } }
    case 'rollout-requested':
      return build.rollouts.includes(event.rollout) ? build : { ...build, rollouts: [...build.rollouts, event.rollout] }
    case 'pushed':
    case 'rollout-progressed':
      return build
    case 'finished':
      return { ...build, status: event.status, error: event.error, finishedAtMs: event.atMs, waitingFor: null }
    default:
      return event satisfies never
  }
}

/** Absolute number of the last line of a log text that begins at `firstLine`. */
export function lastLine(firstLine: number, text: string): number {
  let lines = 0
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines++
  return firstLine + lines - 1
}

function waitingStep(step: Pick<BuildStep, 'id' | 'stage' | 'title' | 'line'>): BuildStep {
  return {
    ...step,
    status: 'waiting',
    cached: false,
    missReason: null,
    startedAtMs: null,
    finishedAtMs: null,
    exitCode: null,
  }
}

function changeStep(build: Build, id: StepId, change: Partial<BuildStep>): Build {
  return { ...build, steps: build.steps.map((step) => (step.id === id ? { ...step, ...change } : step)) }
}

function finishStep(build: Build, event: Extract<BuildEvent, { kind: 'step-finished' }>): Build {
  const { status, cached, exitCode, atMs: finishedAtMs } = event
  const startedAtMs = build.steps.find((step) => step.id === event.step)?.startedAtMs ?? finishedAtMs
  return changeStep(build, event.step, { status, cached, exitCode, startedAtMs, finishedAtMs })
}
