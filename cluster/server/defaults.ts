import type { DeploymentSpec, Kinds, KubeObject, Pod, Secret, Service } from '../kinds.ts'
import { defaultPodSpec, defaultTemplate } from './pod-defaults.ts'

/** Fills in what a manifest may leave out. The object is not changed. */
export function withDefaults<T extends KubeObject>(object: T): T {
  const draft = structuredClone(object) as unknown as Kinds[keyof Kinds]
  switch (draft.kind) {
    case 'Deployment':
      defaultDeployment(draft.spec)
      break
    case 'ReplicaSet':
      if (draft.spec) {
        draft.spec.replicas ??= 1
        defaultTemplate(draft.spec.template)
      }
      break
    case 'Pod':
      defaultPod(draft)
      break
    case 'Service':
      defaultService(draft)
      break
    case 'Secret':
      draft.type ??= 'Opaque'
      foldStringData(draft)
      break
    case 'Namespace':
      draft.metadata.labels = { ...draft.metadata.labels, 'kubernetes.io/metadata.name': draft.metadata.name }
      draft.spec = { finalizers: ['kubernetes'], ...draft.spec }
      break
    case 'Endpoints':
    case 'EndpointSlice':
    case 'Node':
    case 'Event':
    case 'ConfigMap':
    case 'ServiceAccount':
    case 'Lease':
      break
    default:
      draft satisfies never
  }
  return draft as unknown as T
}

function defaultDeployment(spec: DeploymentSpec | undefined): void {
  if (!spec) return
  spec.replicas ??= 1
  spec.strategy = { ...spec.strategy, type: spec.strategy?.type ?? 'RollingUpdate' }
  if (spec.strategy.type === 'RollingUpdate') {
    spec.strategy.rollingUpdate = { maxUnavailable: '25%', maxSurge: '25%', ...spec.strategy.rollingUpdate }
  }
  spec.revisionHistoryLimit ??= 10
  spec.progressDeadlineSeconds ??= 600
  defaultTemplate(spec.template)
}

const TOLERATED_SECONDS = 300

function defaultPod(pod: Pod): void {
  defaultPodSpec(pod.spec)
  if (!pod.spec) return
  pod.spec.enableServiceLinks ??= true
  pod.spec.priority ??= 0
  pod.spec.preemptionPolicy ??= 'PreemptLowerPriority'
  pod.spec.tolerations ??= ['not-ready', 'unreachable'].map((state) => ({
    key: `node.kubernetes.io/${state}`,
    operator: 'Exists',
    effect: 'NoExecute',
    tolerationSeconds: TOLERATED_SECONDS,
  }))
}

function defaultService(service: Service): void {
  const spec = service.spec
  if (!spec) return
  spec.type ??= 'ClusterIP'
  spec.sessionAffinity ??= 'None'
  for (const port of spec.ports ?? []) {
    port.protocol ??= 'TCP'
    if (port.targetPort === undefined || port.targetPort === 0 || port.targetPort === '') port.targetPort = port.port
  }
  if (spec.type === 'ExternalName') return
  spec.ipFamilies ??= ['IPv4']
  spec.ipFamilyPolicy ??= 'SingleStack'
  spec.internalTrafficPolicy ??= 'Cluster'
  if (spec.type === 'NodePort' || spec.type === 'LoadBalancer') spec.externalTrafficPolicy ??= 'Cluster'
}

function foldStringData(secret: Secret): void {
  const { stringData } = secret as { stringData?: Record<string, string> }
  if (!stringData) return
  const encoded = Object.entries(stringData).map(([key, text]) => [key, Buffer.from(text).toString('base64')])
  secret.data = { ...secret.data, ...(Object.fromEntries(encoded) as Record<string, string>) }
  delete (secret as { stringData?: object }).stringData
}

/** The status a new object starts with; what the client sent is not kept. */
export function initialStatus<T extends KubeObject>(object: T): T {
  const { status: _sent, ...rest } = object as T & { status?: unknown }
  const status = newStatus(object)
  return (status === undefined ? rest : { ...rest, status }) as unknown as T
}

function newStatus(object: KubeObject): object | undefined {
  switch (object.kind) {
    case 'Pod':
      return { phase: 'Pending', qosClass: qosClass((object as Pod).spec) }
    case 'ReplicaSet':
      return { replicas: 0 }
    case 'Service':
      return { loadBalancer: {} }
    case 'Namespace':
      return { phase: 'Active' }
    case 'Deployment':
    case 'Node':
      return {}
    default:
      return undefined
  }
}

/** https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/ */
function qosClass(spec: Pod['spec']): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const all = [...spec.containers, ...(spec.initContainers ?? [])].map(({ resources }) => resources ?? {})
  const isSet = (value: string | number | undefined) =>
    value !== undefined && !/^0+(\.0+)?[a-zA-Z]*$/.test(String(value))
  const names = ['cpu', 'memory'] as const
  const isBare = all.every(({ limits, requests }) => names.every((n) => !isSet(limits?.[n]) && !isSet(requests?.[n])))
  if (isBare) return 'BestEffort'
  const isGuaranteed = all.every(({ limits, requests }) =>
    names.every((name) => isSet(limits?.[name]) && String(limits?.[name]) === String(requests?.[name])),
  )
  return isGuaranteed ? 'Guaranteed' : 'Burstable'
}
