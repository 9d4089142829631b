import { SlipwayError } from '#domain/errors'
import type { Cluster } from './kubernetes.ts'
import type { Verdict } from './rollout-verdict.ts'

const LAST_LINES = 10
const MAX_LENGTH = 2000

/**
 * The verdict in words a person can act on: what the pod that failed printed last, and what the cluster last warned of.
 * Asked before the pod goes, since its log goes with it. Without an answer, the verdict has to do.
 */
export async function explainFailure(
  cluster: Cluster,
  namespace: string,
  { message, culprit }: Verdict,
  signal: AbortSignal,
): Promise<string> {
  if (!culprit) return message
  const { pod, container, isPrevious } = culprit
  const log = async () =>
    cluster.readLog({ namespace, pod, container, isPrevious, tailLines: LAST_LINES }, signal).then((text) => text ?? '')
  const warnings = await orNothing(() => cluster.listWarnings(namespace, pod, signal), [], signal)
  const said = (await orNothing(log, '', signal)).trimEnd().slice(-MAX_LENGTH)
  // The verdict's own words need no repetition.
  const warning = warnings.findLast((text) => !text.startsWith('Back-off') && !text.startsWith('Error: '))?.trim()
  return [
    message,
    ...(message.includes(pod) ? [] : [`container ${container} of pod ${pod} is not ready`]),
    ...(warning && !message.includes(warning) ? [warning] : []),
    said ? `last lines of its log:\n${said}` : 'its log is empty',
  ].join('; ')
}

async function orNothing<T>(work: () => Promise<T>, nothing: T, signal: AbortSignal): Promise<T> {
  try {
    return await work()
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof SlipwayError) return nothing
    throw error
  }
}
