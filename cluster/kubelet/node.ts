import { readFileSync } from 'node:fs'
import { arch, availableParallelism, release, totalmem } from 'node:os'
import type { Logger } from '#host/log'
import type { Node } from '../kinds.ts'
import type { ObjectStore } from '../objects.ts'
import { toTime } from './container-record.ts'

const MAX_PODS = 250
const KUBERNETES_VERSION = 'v1.33.0'

export interface NodeFacts {
  nodeName: string
  nodeIp: string
}

/** Writes this machine down as the cluster's node, ready; nodes of other names are of the past. */
export async function registerNode(objects: ObjectStore, facts: NodeFacts, log: Logger): Promise<void> {
  const { nodeName: name } = facts
  for (const { metadata } of objects.list('Node'))
    if (metadata.name !== name) await objects.delete({ kind: 'Node', namespace: '', name: metadata.name })
  if (!objects.get('Node', '', name)) {
    const labels = { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': goArch() }
    await objects.create({ apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec: {} })
  }
  await objects.updateStatus({ kind: 'Node', namespace: '', name }, (node) => ({
    ...node,
    status: statusOf(facts, node),
  }))
  log.info({ node: name, address: facts.nodeIp }, 'node is ready')
}

function statusOf({ nodeName, nodeIp }: NodeFacts, node: Node): NonNullable<Node['status']> {
  const nowText = toTime(Date.now())
  const before = node.status?.conditions?.find((condition) => condition.type === 'Ready')
  const resources = {
    cpu: String(availableParallelism()),
    memory: `${Math.floor(totalmem() / 1024)}Ki`,
    pods: String(MAX_PODS),
  }
  return {
    capacity: resources,
    allocatable: resources,
    conditions: [
      {
        type: 'Ready',
        status: 'True',
        reason: 'KubeletReady',
        message: 'kubelet is posting ready status',
        lastHeartbeatTime: nowText,
        lastTransitionTime: before?.status === 'True' ? (before.lastTransitionTime ?? nowText) : nowText,
      },
    ],
    addresses: [
      { type: 'InternalIP', address: nodeIp },
      { type: 'Hostname', address: nodeName },
    ],
    nodeInfo: {
      architecture: goArch(),
      operatingSystem: 'linux',
      kernelVersion: release(),
      osImage: osName(),
      containerRuntimeVersion: 'slipway://runc',
      kubeletVersion: KUBERNETES_VERSION,
      kubeProxyVersion: KUBERNETES_VERSION,
      machineID: textOf('/etc/machine-id'),
      systemUUID: textOf('/sys/class/dmi/id/product_uuid'),
      bootID: textOf('/proc/sys/kernel/random/boot_id'),
    },
  }
}

/** As Go, and so Kubernetes and image manifests, name architectures. */
function goArch(): string {
  return arch() === 'x64' ? 'amd64' : arch()
}

/** https://www.freedesktop.org/software/systemd/man/latest/os-release.html */
function osName(): string {
  return /^PRETTY_NAME="?([^"\n]+)"?$/m.exec(textOf('/etc/os-release'))?.[1] ?? 'Linux'
}

/** Empty where this machine has no such file, as containers often have not. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}
