import { messageOf, SlipwayError } from '#domain/errors'
import type { Rollout } from '#domain/rollout'
import { Bell } from '#host/bell'
import type { Store } from '#store/contract'
import type { Cluster, Deployment } from './kubernetes.ts'
import { reportRollout } from './report-rollout.ts'
import { judgeRollout, type Verdict } from './rollout-verdict.ts'

export interface RolloutDeps {
  store: Store
  openCluster: () => Promise<Cluster>
  now: () => number
  /** How long the new pods have to stay available before the rollout counts as done. */
  soakMs: number
}

/** What we wrote on the Deployment, so that a later worker can still go back. */
const PREVIOUS_IMAGE = 'slipway.dev/previous-image'
/** Without a watch's word we look again. */
const LOOK_AGAIN_MS = 3000
/** What a cluster gets to answer at all, and on top of a Deployment's own deadline. */
const UNREACHABLE_MS = 5 * 60_000
const GRACE_MS = 30_000
const RETRY_MS = [250, 500, 1000, 2000, 5000]

/** Puts an image live on a Deployment and watches it, until it is available or has been rolled back. */
export async function runRollout(deps: RolloutDeps, rollout: Rollout, signal: AbortSignal): Promise<void> {
  const report = (change: Partial<Rollout>) => reportRollout(deps, rollout.id, change)
  try {
    const { cluster, deployment } = await reach(deps, rollout, signal)
    const started = await setImage(cluster, deployment, rollout, signal)
    await report({ status: 'progressing', message: `setting ${rollout.image}` })
    const verdict = await follow(deps, { cluster, rollout, started: started.deployment, report }, signal)
    if (verdict.kind === 'done') return await report({ status: 'succeeded', ...verdictChange(verdict) })
    const back = await rollBack(cluster, rollout, started.previousImage, signal)
    await report({
      status: back ? 'rolled-back' : 'failed',
      ...verdictChange(verdict),
      message: `${verdict.message}; ${back ? `went back to ${back}` : 'there is no earlier image to go back to'}`,
    })
  } catch (error) {
    // Whoever stops the worker leaves the rollout to the next one.
    if (signal.aborted) return
    await report({ status: 'failed', message: messageOf(error) })
  }
}

function verdictChange({ message, replicas }: Verdict): Partial<Rollout> {
  return { message, replicas }
}

/** Finds the Deployment and its container, and waits for a cluster that does not answer yet. */
async function reach(
  { openCluster, now }: RolloutDeps,
  { target }: Rollout,
  signal: AbortSignal,
): Promise<{ cluster: Cluster; deployment: Deployment }> {
  const { namespace, deployment: name, container } = target
  const until = now() + UNREACHABLE_MS
  const cluster = await retrying(openCluster, until, now, signal)
  const deployment = await retrying(() => cluster.getDeployment(namespace, name, signal), until, now, signal)
  if (!deployment)
    throw new SlipwayError('not-found', `There is no Deployment ${namespace}/${name}: create it with kubectl apply`)
  if (imageOf(deployment, container) !== null) return { cluster, deployment }
  const names = deployment.spec?.template.spec?.containers.map((each) => each.name).join(', ')
  throw new SlipwayError('not-found', `Deployment ${namespace}/${name} has no container ${container}, only ${names}`)
}

async function setImage(
  cluster: Cluster,
  deployment: Deployment,
  rollout: Rollout,
  signal: AbortSignal,
): Promise<{ deployment: Deployment; previousImage: string | null }> {
  const { namespace, deployment: name, container } = rollout.target
  const current = imageOf(deployment, container)
  const noted = deployment.metadata?.annotations?.[PREVIOUS_IMAGE] ?? null
  const previousImage = current === rollout.image ? noted : current
  const annotations = {
    'kubernetes.io/change-cause': `slipway: ${rollout.image} of build ${rollout.build}`,
    'slipway.dev/build': rollout.build,
    ...(previousImage === null ? {} : { [PREVIOUS_IMAGE]: previousImage }),
  }
  const patch = imagePatch(annotations, container, rollout.image)
  return { deployment: await cluster.patchDeployment(namespace, name, patch, signal), previousImage }
}

interface Followed {
  cluster: Cluster
  rollout: Rollout
  started: Deployment
  report: (change: Partial<Rollout>) => Promise<void>
}

/** Looks whenever something changes; the Deployment's own deadline decides, and ours where its controller is silent. */
async function follow(
  { now, soakMs }: RolloutDeps,
  { cluster, rollout, started, report }: Followed,
  signal: AbortSignal,
): Promise<Verdict> {
  const { namespace, deployment: name } = rollout.target
  const bell = new Bell()
  using _ = cluster.watch(namespace, name, () => bell.ring())
  const deadlineMs = (started.spec?.progressDeadlineSeconds ?? 600) * 1000 + GRACE_MS
  const deadline = AbortSignal.timeout(deadlineMs)
  let said = ''
  let doneAtMs: number | null = null
  for (;;) {
    const verdict = await look(cluster, rollout, signal)
    if (verdict?.kind === 'failed') return verdict
    if (verdict?.kind === 'progressing') doneAtMs = null
    if (verdict?.kind === 'done') {
      // A program without a readiness probe is available before it has had the time to crash.
      doneAtMs ??= now()
      if (now() - doneAtMs >= soakMs) return verdict
    }
    if (deadline.aborted) {
      const replicas = verdict?.replicas ?? rollout.replicas
      return { kind: 'failed', message: `not available after ${deadlineMs / 1000} s`, replicas }
    }
    if (verdict && verdict.message !== said) await report({ status: 'progressing', ...verdictChange(verdict) })
    said = verdict?.message ?? said
    const pauseMs = doneAtMs === null ? LOOK_AGAIN_MS : Math.max(1, doneAtMs + soakMs - now())
    await bell.wait(AbortSignal.any([signal, deadline, AbortSignal.timeout(pauseMs)]))
    signal.throwIfAborted()
  }
}

/** Null where the cluster does not answer at the moment. */
async function look(cluster: Cluster, { target, image }: Rollout, signal: AbortSignal): Promise<Verdict | null> {
  const { namespace, deployment: name } = target
  try {
    const deployment = await cluster.getDeployment(namespace, name, signal)
    if (!deployment) throw new SlipwayError('not-found', `Deployment ${namespace}/${name} was deleted`)
    const now = imageOf(deployment, target.container)
    if (now !== image) throw new SlipwayError('conflict', `Somebody else set the image of ${name} to ${now}`)
    const pods = await cluster.listPods(namespace, deployment.spec?.selector.matchLabels ?? {}, signal)
    return judgeRollout(deployment, pods, image)
  } catch (error) {
    if (error instanceof SlipwayError && error.kind === 'unavailable') return null
    throw error
  }
}

/** The image that the Deployment went back to; null where there is none. */
async function rollBack(
  cluster: Cluster,
  rollout: Rollout,
  previousImage: string | null,
  signal: AbortSignal,
): Promise<string | null> {
  if (previousImage === null || previousImage === rollout.image) return null
  const { namespace, deployment, container } = rollout.target
  const annotations = { 'kubernetes.io/change-cause': `slipway: back to ${previousImage}` }
  await cluster.patchDeployment(namespace, deployment, imagePatch(annotations, container, previousImage), signal)
  return previousImage
}

function imagePatch(annotations: Record<string, string>, name: string, image: string): object {
  return { metadata: { annotations }, spec: { template: { spec: { containers: [{ name, image }] } } } }
}

function imageOf(deployment: Deployment, container: string): string | null {
  const containers = deployment.spec?.template.spec?.containers ?? []
  return containers.find((each) => each.name === container)?.image ?? null
}

async function retrying<T>(
  work: () => Promise<T>,
  untilMs: number,
  now: () => number,
  signal: AbortSignal,
): Promise<T> {
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
