import type { BlobStore, Platform, Registry } from '#buildkit-lite'
import type { Logger } from '#host/log'
import type { Sandbox } from '#sandbox'
import type { ObjectStore } from '../objects.ts'
import type { ServiceProxy } from '../service-proxy/contract.ts'

export interface KubeletDeps {
  objects: ObjectStore
  sandbox: Sandbox
  registry: Registry
  blobs: BlobStore
  /** Until it is disposed, nothing that is used is collected from the disk. */
  lease: () => Promise<AsyncDisposable>
  platform: Platform
  proxy: Pick<ServiceProxy, 'settled'>
  log: Logger
  /** Lower-case host name. */
  nodeName: string
  /** The host's address, which pods and their probes see. */
  nodeIp: string
  /** Logs and volumes of pods lie below `<dataDir>/pods`. */
  dataDir: string
}
