import { setTimeout as sleep } from 'node:timers/promises'
import type { PulledImage } from '#buildkit-lite'
import { messageOf, SlipwayError } from '#domain/errors'
import type { Container } from '../pod-kinds.ts'
import { type ContainerRecord, toWaiting } from './container-record.ts'
import type { PodContext } from './pod-context.ts'

const FIRST_PAUSE_MS = 10_000
/** A registry that does not answer may just be starting, as after the machine's start. */
const FIRST_PAUSE_AWAY_MS = 1000
const MAX_PAUSE_MS = 300_000
/** For so long the status says what went wrong, before it says that we wait. */
const SHOWN_MS = 1000

/** Tries until the image is there. Rejects only when the pod stops. */
export async function pullForPod(record: ContainerRecord, pod: PodContext): Promise<PulledImage> {
  const { image: name } = record.container
  for (let failures = 0; ; failures++) {
    try {
      return await pullOnce(record, pod)
    } catch (error) {
      pod.stopping.throwIfAborted()
      const isNever = record.container.imagePullPolicy === 'Never'
      const reason = isNever ? 'ErrImageNeverPull' : 'ErrImagePull'
      const message = isNever ? messageOf(error) : `failed to pull image "${name}": ${messageOf(error)}`
      pod.tell({ type: 'Warning', reason: 'Failed', message: message.replace(/^f/, 'F') }, record)
      pod.tell({ type: 'Warning', reason: 'Failed', message: `Error: ${reason}` }, record)
      toWaiting(record, reason, message)
      pod.publish()
      await sleep(SHOWN_MS, undefined, { signal: pod.stopping })
      const isAway = error instanceof SlipwayError && error.kind === 'registry-unavailable'
      const pauseMs = Math.min(
        MAX_PAUSE_MS,
        (isAway ? FIRST_PAUSE_AWAY_MS : FIRST_PAUSE_MS) * 2 ** Math.min(failures, 9),
      )
      if (!isNever) {
        pod.tell({ type: 'Normal', reason: 'BackOff', message: `Back-off pulling image "${name}"` }, record)
        toWaiting(record, 'ImagePullBackOff', `Back-off pulling image "${name}": ${message}`)
        pod.publish()
      }
      await sleep(Math.max(0, pauseMs - SHOWN_MS), undefined, { signal: pod.stopping })
    }
  }
}

async function pullOnce(record: ContainerRecord, pod: PodContext): Promise<PulledImage> {
  const { image: name } = record.container
  const policy = policyOf(record.container)
  const isPresent = pod.on.images.has(name, policy)
  if (!isPresent && policy !== 'Never')
    pod.tell({ type: 'Normal', reason: 'Pulling', message: `Pulling image "${name}"` }, record)
  const startedAtMs = Date.now()
  const image = await pod.on.images.find(name, policy, pod.stopping)
  const message = isPresent
    ? `Container image "${name}" already present on machine`
    : `Successfully pulled image "${name}" in ${Date.now() - startedAtMs}ms`
  pod.tell({ type: 'Normal', reason: 'Pulled', message }, record)
  return image
}

/** As the API server defaults it, for pods that came another way. */
function policyOf({ imagePullPolicy, image }: Container): NonNullable<Container['imagePullPolicy']> {
  if (imagePullPolicy) return imagePullPolicy
  const isFloating = !image.includes('@') && (!/:[^/]+$/.test(image) || image.endsWith(':latest'))
  return isFloating ? 'Always' : 'IfNotPresent'
}
