import type { Digest } from '#domain/digest'
import type { Rollout } from '#domain/rollout'
import type { Cluster, Deployment } from './kubernetes.ts'

/** What we wrote on the Deployment, so that a later worker can still go back. */
const PREVIOUS_IMAGE = 'slipway.dev/previous-image'
/** The image that we set; another one is somebody else's choice. */
const OUR_IMAGE = 'slipway.dev/image'

/** The rollout that ended with the image from before. */
const ROLLED_BACK = 'slipway.dev/rolled-back'

/** The image of a container of a Deployment; null where it has no such container. */
export function imageOf(deployment: Deployment, container: string): string | null {
  const containers = deployment.spec?.template.spec?.containers ?? []
  return containers.find((each) => each.name === container)?.image ?? null
}

/** Sets the rollout's image, and notes on the Deployment which one to go back to. */
export async function setImage(
  cluster: Cluster,
  { deployment, verified }: { deployment: Deployment; verified: Digest | null },
  rollout: Rollout,
  signal: AbortSignal,
): Promise<{ deployment: Deployment; previousImage: string | null }> {
  const { namespace, deployment: name, container } = rollout.target
  const previousImage = imageBefore(deployment, rollout, verified)
  const annotations = {
    'kubernetes.io/change-cause': `slipway: ${rollout.image} of build ${rollout.build}`,
    'slipway.dev/build': rollout.build,
    [OUR_IMAGE]: rollout.image,
    ...(previousImage === null ? {} : { [PREVIOUS_IMAGE]: previousImage }),
  }
  const patch = imagePatch(annotations, container, rollout.image)
  return { deployment: await cluster.patchDeployment(namespace, name, patch, signal), previousImage }
}

/** What the Deployment ran, but never an image of ours that has not been seen to work. */
function imageBefore(deployment: Deployment, { image, target }: Rollout, verified: Digest | null): string | null {
  const current = imageOf(deployment, target.container)
  const annotations = deployment.metadata?.annotations ?? {}
  const noted = annotations[PREVIOUS_IMAGE] ?? null
  if (current === image) return noted
  const isUntried = current === annotations[OUR_IMAGE] && !(verified && current?.endsWith(`@${verified}`))
  return isUntried ? (noted ?? current) : current
}

/** Whether a worker that died since then has set the image from before already. */
export function isRestored(deployment: Deployment, { id }: Rollout): boolean {
  return deployment.metadata?.annotations?.[ROLLED_BACK] === id
}

/** Sets the image from before again; null where there is none. */
export async function restoreImage(
  cluster: Cluster,
  rollout: Rollout,
  previousImage: string | null,
  signal: AbortSignal,
): Promise<Deployment | null> {
  if (previousImage === null || previousImage === rollout.image) return null
  const { namespace, deployment, container } = rollout.target
  const cause = `slipway: back to ${previousImage}`
  const annotations = { 'kubernetes.io/change-cause': cause, [ROLLED_BACK]: rollout.id }
  return cluster.patchDeployment(namespace, deployment, imagePatch(annotations, container, previousImage), signal)
}

function imagePatch(annotations: Record<string, string>, name: string, image: string): object {
  return { metadata: { annotations }, spec: { template: { spec: { containers: [{ name, image }] } } } }
}
