import type { Config } from '#host/config'
import type { Logger } from '#host/log'
import type { Pod } from './kinds.ts'
import type { ObjectStore } from './objects.ts'

/** What every part of the cluster process is given. */
export interface ClusterParts {
  config: Config
  objects: ObjectStore
  log: Logger
}

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

/** Addresses of the cluster's network: pods and Services of the one node. */
export interface ClusterNetwork {
  /** Such as `10.96.0.0/16`. */
  serviceCidr: string
}

/** A running part; disposing stops it and what it started. */
export interface Kubelet extends AsyncDisposable {
  logs: PodLogs
}
