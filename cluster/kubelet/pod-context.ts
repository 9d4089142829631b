import type { ContainerMount, NetworkNamespace } from '#sandbox'
import type { Pod } from '../kinds.ts'
import type { EventNote } from '../objects.ts'
import type { ContainerRecord } from './container-record.ts'
import type { KubeletDeps } from './contract.ts'
import type { EnvironmentSources } from './environment.ts'
import type { Images } from './images.ts'
import type { OpenLogs } from './log-files.ts'
import type { Grace } from './stop-instance.ts'
import type { PodVolumes } from './volumes.ts'

/** What all pods of the node share. */
export interface NodeContext extends KubeletDeps {
  images: Images
  openLogs: OpenLogs
  /** Every pod has a directory here, named by its uid. */
  podsDir: string
  node: EnvironmentSources['node']
}

/** What a pod's containers share while they run. */
export interface PodContext {
  readonly on: NodeContext
  /** As it is now. */
  readonly pod: Pod
  readonly podDir: string
  readonly network: NetworkNamespace | 'host'
  readonly address: string
  readonly volumes: PodVolumes
  readonly hosts: ContainerMount
  /** Aborts when the containers of this round shall stop. */
  readonly stopping: AbortSignal
  /** Aborts when nothing may be left. */
  readonly killed: AbortSignal
  /** Resolves when the container may be told to stop: no new connection comes in, old ones have ended. */
  readyToStop(): Promise<Grace>
  /** The status has changed. */
  publish(): void
  tell(note: Omit<EventNote, 'component'>, record?: ContainerRecord): void
}
