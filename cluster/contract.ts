import type { Pod } from './kinds.ts'

export interface LogRequest {
  container: string
  follow: boolean
  /** The container before the latest restart. */
  previous: boolean
  timestamps: boolean
  tailLines: number | null
  sinceSeconds: number | null
  sinceTime: string | null
  limitBytes: number | null
}

/** Where `kubectl logs` reads from; the kubelet's. */
export interface PodLogs {
  /**
   * The log as bytes, ending with the log, or, following, when the container has ended or the signal aborts. Fails with
   * kind `not-found` where there is no such log (yet); the message is shown to the user.
   */
  read(pod: Pod, request: LogRequest, signal: AbortSignal): AsyncIterable<Uint8Array>
}

/** A running part; disposing stops it and what it started. */
export interface Kubelet extends AsyncDisposable {
  logs: PodLogs
}
