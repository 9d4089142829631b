import type { Build } from '#domain/build'
import type { BuildEvent } from '#domain/build-event'
import type { Digest } from '#domain/digest'
import { RolloutId } from '#domain/ids'
import type { Rollout } from '#domain/rollout'
import { newId } from '#host/new-id'
import type { Rollouts } from '#store/contract'

/** Asks for the image to go live wherever the build's rule says, once per target and digest. */
export async function requestRollouts(
  rollouts: Rollouts,
  build: Build,
  image: { name: string; digest: Digest },
  nowMs: number,
): Promise<BuildEvent[]> {
  const events: BuildEvent[] = []
  for (const target of build.deploy) {
    const { rollout } = await rollouts.request(newRollout(build, image, target, nowMs))
    const { namespace, deployment, container } = target
    const name = `${namespace}/${deployment}/${container}`
    events.push({ kind: 'rollout-requested', atMs: nowMs, rollout: rollout.id, target: name })
  }
  return events
}

/** What has ended before the build could follow it: an image that is live already rolls out no second time. */
export async function reportEnded(
  rollouts: Rollouts,
  requested: readonly BuildEvent[],
  nowMs: number,
): Promise<BuildEvent[]> {
  const events: BuildEvent[] = []
  for (const event of requested) {
    if (event.kind !== 'rollout-requested') continue
    const rollout = await rollouts.get(event.rollout)
    if (!rollout || rollout.status === 'pending' || rollout.status === 'progressing') continue
    const { status, message } = rollout
    events.push({ kind: 'rollout-progressed', atMs: nowMs, rollout: event.rollout, status, message })
  }
  return events
}

function newRollout(
  build: Build,
  image: { name: string; digest: Digest },
  target: Rollout['target'],
  requestedAtMs: number,
): Rollout {
  return {
    id: RolloutId.parse(newId('rol')),
    project: build.project,
    build: build.id,
    target,
    image: `${image.name}@${image.digest}`,
    digest: image.digest,
    status: 'pending',
    message: 'waiting for a worker',
    replicas: { desired: 0, updated: 0, ready: 0, available: 0 },
    requestedAtMs,
    startedAtMs: null,
    finishedAtMs: null,
  }
}
