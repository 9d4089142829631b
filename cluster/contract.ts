import type { Duplex, Readable, Writable } from 'node:stream'
import type { ExitStatus } from '#host/exec'
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

/** A program in a pod and its streams. Disposing kills one that was started for it. */
export interface Session extends AsyncDisposable {
  /** Null where nothing can be written to it. */
  readonly stdin: Writable | null
  readonly stdout: Readable
  /** Ends at once where the program has a terminal. */
  readonly stderr: Readable
  readonly exited: Promise<ExitStatus>
  resize(size: { columns: number; rows: number }): Promise<void>
}

/** What `kubectl exec`, `attach` and `port-forward` talk to; the kubelet's. Messages of errors are shown to the user. */
export interface PodSessions {
  /** Fails with kind `not-found` where the container does not run, with `step-failed` where the program cannot be run. */
  exec(pod: Pod, request: { container: string; command: string[]; tty: boolean }): Promise<Session>
  /** What the container prints from now on. */
  attach(pod: Pod, container: string): Session
  /** A connection to a port inside the pod, the loopback's too. */
  connect(pod: Pod, port: number, signal: AbortSignal): Promise<Duplex>
}

/** A running part; disposing stops it and what it started. */
export interface Kubelet extends AsyncDisposable {
  logs: PodLogs
  sessions: PodSessions
}
