import { type PulledImage, type PullTools, pullImage } from '#buildkit-lite'
import { SlipwayError } from '#domain/errors'
import type { Container } from '../pod-kinds.ts'
import { unlessAborted } from '../unless-aborted.ts'

/** The node's images. */
export interface Images {
  /** Whether `find` would answer without asking a registry. */
  has(name: string, policy: Container['imagePullPolicy']): boolean
  /** The image with its files unpacked. Fails with the registry's kinds; two who want the same image share one pull. */
  find(name: string, policy: Container['imagePullPolicy'], signal: AbortSignal): Promise<PulledImage>
}

/** `stopping` ends every pull: one pod's end shall not spoil the pull that another one waits for. */
export function keepImages(tools: PullTools, stopping: AbortSignal): Images {
  const present = new Map<string, PulledImage>()
  const pulls = new Map<string, Promise<PulledImage>>()
  const isPresent = (name: string, policy: Container['imagePullPolicy']) => policy !== 'Always' && present.has(name)
  const pull = (name: string): Promise<PulledImage> => {
    const running = pulls.get(name)
    if (running) return running
    const started = pullImage(name, tools, stopping)
      .then((image) => {
        present.set(name, image)
        return image
      })
      .finally(() => pulls.delete(name))
    pulls.set(name, started)
    return started
  }
  return {
    has: isPresent,
    find: async (name, policy, signal) => {
      const known = present.get(name)
      if (known && isPresent(name, policy) && (await hasFiles(known, tools))) return known
      if (policy === 'Never') throw new SlipwayError('not-found', `Container image "${name}" is not present`)
      return unlessAborted(pull(name), signal)
    },
  }
}

/** Snapshots may have been collected since. */
async function hasFiles(image: PulledImage, { snapshots }: PullTools): Promise<boolean> {
  return image.snapshotKey === null || (await snapshots.has(image.snapshotKey))
}
