import { join } from 'node:path'

/**
 * Where logs lie: `<pods>/<uid>/<container>/<restart>.log`, the older half of a long one beside it as `….log.1`.
 * Lines are as the container runtime interface has them: `2026-01-02T03:04:05.678000000Z stdout F text`, with P for the
 * parts of a line that was too long for one entry.
 * https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
 */
export function logPath(podsDir: string, uid: string, container: string, restart: number): string {
  return join(podsDir, uid, container, `${restart}.log`)
}

export function rotatedPath(path: string): string {
  return `${path}.1`
}

/** A log that is being written, as its followers see it. */
export interface OpenLog {
  /** Counts rotations. */
  generation: number
  ended: boolean
  /** Replaced with every change: resolves when there is more, or no more. */
  changed: PromiseWithResolvers<void>
}

/** The logs that are being written now, by path. */
export type OpenLogs = Map<string, OpenLog>

export function tellFollowers(log: OpenLog): void {
  const { changed } = log
  log.changed = Promise.withResolvers<void>()
  changed.resolve()
}
