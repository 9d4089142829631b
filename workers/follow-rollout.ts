import { SlipwayError } from '#domain/errors'
import type { Rollout } from '#domain/rollout'
import { Bell } from '#host/bell'
import { imageOf } from './deployment-image.ts'
import type { Cluster, Deployment } from './kubernetes.ts'
import { findUnready, judgeRollout, type Verdict } from './rollout-verdict.ts'

/** Without a watch's word we look again. */
const LOOK_AGAIN_MS = 3000

export interface Followed {
  cluster: Cluster
  target: Rollout['target']
  image: string
  /** The Deployment as it was when the image was set. */
  began: Deployment
  /** What the cluster gets to bring the image up. */
  deadlineMs: number
  /** How long the new pods have to stay available before the rollout counts as done. */
  soakMs: number
  now: () => number
  /** Told whenever something changed. */
  report: (verdict: Verdict) => Promise<void>
}

/** Looks whenever something changes; the Deployment's own deadline decides, and ours where its controller is silent. */
export async function followRollout(followed: Followed, signal: AbortSignal): Promise<Verdict> {
  const { cluster, target, deadlineMs, soakMs, now, report } = followed
  const bell = new Bell()
  using _ = cluster.watch(target.namespace, target.deployment, () => bell.ring())
  const deadline = AbortSignal.timeout(deadlineMs)
  let said = ''
  let doneAtMs: number | null = null
  for (;;) {
    const verdict = await look(followed, deadline.aborted, signal)
    if (verdict?.kind === 'failed') return verdict
    if (verdict?.kind === 'progressing') doneAtMs = null
    if (verdict?.kind === 'done') {
      // A program without a readiness probe is available before it has had the time to crash.
      doneAtMs ??= now()
      if (now() - doneAtMs >= soakMs) return verdict
    }
    if (verdict && verdict.message !== said) await report(verdict)
    said = verdict?.message ?? said
    const pauseMs = doneAtMs === null ? LOOK_AGAIN_MS : Math.max(1, doneAtMs + soakMs - now())
    const wakeUps = [signal, AbortSignal.timeout(pauseMs), ...(deadline.aborted ? [] : [deadline])]
    await bell.wait(AbortSignal.any(wakeUps))
    signal.throwIfAborted()
  }
}

/** Null where the cluster does not answer at the moment. */
async function look(followed: Followed, isLate: boolean, signal: AbortSignal): Promise<Verdict | null> {
  const { cluster, target, image, began, deadlineMs } = followed
  const { namespace, deployment: name } = target
  const late = `not available after ${deadlineMs / 1000} s`
  try {
    const deployment = await cluster.getDeployment(namespace, name, signal)
    if (!deployment) throw new SlipwayError('not-found', `Deployment ${namespace}/${name} was deleted`)
    const now = imageOf(deployment, target.container)
    if (now !== image) throw new SlipwayError('conflict', `Somebody else set the image of ${name} to ${now}`)
    const pods = await cluster.listPods(namespace, deployment.spec?.selector.matchLabels ?? {}, signal)
    const verdict = judgeRollout(deployment, pods, image, began)
    if (!isLate || verdict.kind !== 'progressing') return verdict
    return { ...verdict, kind: 'failed', message: `${late}: ${verdict.message}`, ...findUnready(pods, image) }
  } catch (error) {
    if (!(error instanceof SlipwayError && error.kind === 'unavailable')) throw error
    if (isLate) throw new SlipwayError('timed-out', `${late}: ${error.message}`, { cause: error })
    return null
  }
}

/** What a Deployment gives its pods to become available, and its controller to say so. */
export function deadlineOf(deployment: Deployment): number {
  return (deployment.spec?.progressDeadlineSeconds ?? 600) * 1000 + GRACE_MS
}

const GRACE_MS = 30_000
