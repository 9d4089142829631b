import { messageOf, SlipwayError } from '#domain/errors'
import type { Rollout } from '#domain/rollout'
import { Bell } from '#host/bell'
import type { Store } from '#store/contract'
import { imageOf, isRestored, restoreImage, setImage } from './deployment-image.ts'
import { explainFailure } from './explain-failure.ts'
import { deadlineOf, type Followed, followRollout } from './follow-rollout.ts'
import type { Cluster, Deployment } from './kubernetes.ts'
import { reportRollout } from './report-rollout.ts'
import type { Verdict } from './rollout-verdict.ts'

export interface RolloutDeps {
  store: Store
  openCluster: () => Promise<Cluster>
  now: () => number
  /** How long the new pods have to stay available before the rollout counts as done. */
  soakMs: number
}

/** What a cluster gets to answer at all. */
const UNREACHABLE_MS = 5 * 60_000
/** What the image from before gets to be available again; its pods may all be there still. */
const BACK_MS = 2 * 60_000
const RETRY_MS = [250, 500, 1000, 2000, 5000]

interface Running {
  deps: RolloutDeps
  rollout: Rollout
  cluster: Cluster
  report: (change: Partial<Rollout>) => Promise<void>
}

/** Puts an image live on a Deployment and watches it, until it is available or has been rolled back. */
export async function runRollout(deps: RolloutDeps, rollout: Rollout, signal: AbortSignal): Promise<void> {
  const report = (change: Partial<Rollout>) => reportRollout(deps, rollout.id, change)
  try {
    const { cluster, deployment } = await reach(deps, rollout, signal)
    const running: Running = { deps, rollout, cluster, report }
    if (isRestored(deployment, rollout)) return await endBack(running, deployment, rollout.message, signal)
    const verified = await deps.store.rollouts.lastVerified(rollout.target)
    const set = () => setImage(cluster, { deployment, verified }, rollout, signal)
    const started = await retrying(set, deps.now, signal)
    await report({ status: 'progressing', message: `setting ${rollout.image}` })
    const verdict = await follow(running, started.deployment, signal)
    if (verdict.kind === 'done') await report({ status: 'succeeded', ...changeOf(verdict) })
    else await goBack(running, verdict, started.previousImage, signal)
  } catch (error) {
    // Whoever stops the worker leaves the rollout to the next one.
    if (signal.aborted) return
    await report({ status: 'failed', message: messageOf(error) })
  }
}

function changeOf({ message, replicas }: Verdict): Partial<Rollout> {
  return { message, replicas }
}

async function follow({ deps, rollout, cluster, report }: Running, began: Deployment, signal: AbortSignal) {
  const { target, image } = rollout
  const { now, soakMs } = deps
  return followRollout(
    {
      cluster,
      target,
      image,
      began,
      deadlineMs: deadlineOf(began),
      soakMs,
      now,
      report: (verdict) => report({ status: 'progressing', ...changeOf(verdict) }),
    },
    signal,
  )
}

/** Says why it failed, sets the image from before, and waits until that one is available again. */
async function goBack(
  running: Running,
  verdict: Verdict,
  previousImage: string | null,
  signal: AbortSignal,
): Promise<void> {
  const { rollout, cluster, report } = running
  const { replicas } = verdict
  const { target } = rollout
  const why = await explainFailure(cluster, target.namespace, verdict, signal)
  const restore = () => restoreImage(cluster, rollout, previousImage, signal)
  const restored = await retrying(restore, running.deps.now, signal)
  if (!restored || previousImage === null)
    return report({ status: 'failed', replicas, message: `${why}\nThere is no earlier image to go back to` })
  const message = `${why}\nGoing back to ${previousImage}`
  await report({ status: 'progressing', replicas, message })
  await endBack(running, restored, message, signal)
}

async function endBack(running: Running, restored: Deployment, going: string, signal: AbortSignal): Promise<void> {
  const { deps, rollout, cluster, report } = running
  const { target } = rollout
  const image = imageOf(restored, target.container) ?? ''
  const back = { cluster, target, image, began: restored, deadlineMs: BACK_MS, soakMs: 0, now: deps.now }
  const { message, ...change } = await waitForOld({ ...back, report: async () => {} }, signal)
  const went = going.replace('\nGoing back', '\nWent back')
  await report({ status: 'rolled-back', message: went + message, ...change })
}

/** How the image from before fares; whatever that is, the rollout was rolled back. */
async function waitForOld(back: Followed, signal: AbortSignal): Promise<Partial<Rollout> & { message: string }> {
  try {
    const { kind, replicas, message } = await followRollout(back, signal)
    const { available, desired } = replicas
    if (kind !== 'done') return { replicas, message: `, but that does not run either: ${message}` }
    return { replicas, message: `: ${available} of ${desired} pods of it are available` }
  } catch (error) {
    signal.throwIfAborted()
    return { message: `. ${messageOf(error)}` }
  }
}

/** Finds the Deployment and its container, and waits for a cluster that does not answer yet. */
async function reach(
  { openCluster, now }: RolloutDeps,
  { target }: Rollout,
  signal: AbortSignal,
): Promise<{ cluster: Cluster; deployment: Deployment }> {
  const { namespace, deployment: name, container } = target
  const cluster = await retrying(openCluster, now, signal)
  const deployment = await retrying(() => cluster.getDeployment(namespace, name, signal), now, signal)
  if (!deployment)
    throw new SlipwayError('not-found', `There is no Deployment ${namespace}/${name}: create it with kubectl apply`)
  if (imageOf(deployment, container) !== null) return { cluster, deployment }
  const names = deployment.spec?.template.spec?.containers.map((each) => each.name).join(', ')
  throw new SlipwayError('not-found', `Deployment ${namespace}/${name} has no container ${container}, only ${names}`)
}

/** A cluster that is away for a moment, as while it starts, is asked again. */
async function retrying<T>(work: () => Promise<T>, now: () => number, signal: AbortSignal): Promise<T> {
  const untilMs = now() + UNREACHABLE_MS
  for (let attempt = 0; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      const isPassing = error instanceof SlipwayError && error.kind === 'unavailable'
      if (!isPassing || now() > untilMs) throw error
      await new Bell().wait(AbortSignal.any([signal, AbortSignal.timeout(RETRY_MS[attempt] ?? 5000)]))
      signal.throwIfAborted()
    }
  }
}
