/**
 * The Kubernetes objects we handle, with the fields we use and plain JSON values (timestamps are RFC 3339 strings).
 * Fields we do not name are kept: objects pass through as they came.
 * https://kubernetes.io/docs/reference/kubernetes-api/
 */
import type { PodSpec, PodStatus } from './pod-kinds.ts'

export type Labels = Record<string, string>
/** A count or a percentage such as `25%`; a port number or a port's name. */
export type IntOrString = number | string

export interface OwnerReference {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean
  blockOwnerDeletion?: boolean
}

export interface ObjectMeta {
  name: string
  /** Empty or absent for kinds that belong to no namespace. */
  namespace?: string
  generateName?: string
  uid?: string
  /** The store's version of the last change, as decimal digits. */
  resourceVersion?: string
  generation?: number
  creationTimestamp?: string
  deletionTimestamp?: string
  deletionGracePeriodSeconds?: number
  labels?: Labels
  annotations?: Labels
  ownerReferences?: OwnerReference[]
  finalizers?: string[]
  managedFields?: unknown[]
}

export interface KubeObject {
  apiVersion: string
  kind: string
  metadata: ObjectMeta
}

interface LabelSelectorRequirement {
  key: string
  operator: string
  values?: string[]
}

export interface LabelSelector {
  matchLabels?: Labels
  matchExpressions?: LabelSelectorRequirement[]
}

export interface Condition {
  type: string
  status: 'True' | 'False' | 'Unknown'
  reason?: string
  message?: string
  lastTransitionTime?: string
  lastUpdateTime?: string
}

export interface PodTemplate {
  metadata?: { labels?: Labels; annotations?: Labels; creationTimestamp?: null }
  spec: PodSpec
}

export interface Pod extends KubeObject {
  kind: 'Pod'
  spec: PodSpec
  status?: PodStatus
}

interface DeploymentStrategy {
  type?: 'RollingUpdate' | 'Recreate'
  rollingUpdate?: { maxSurge?: IntOrString; maxUnavailable?: IntOrString }
}

export interface DeploymentSpec {
  replicas?: number
  selector: LabelSelector
  template: PodTemplate
  strategy?: DeploymentStrategy
  minReadySeconds?: number
  revisionHistoryLimit?: number
  progressDeadlineSeconds?: number
  paused?: boolean
}

export interface DeploymentStatus {
  observedGeneration?: number
  replicas?: number
  updatedReplicas?: number
  readyReplicas?: number
  availableReplicas?: number
  unavailableReplicas?: number
  terminatingReplicas?: number
  collisionCount?: number
  conditions?: Condition[]
}

export interface Deployment extends KubeObject {
  kind: 'Deployment'
  spec: DeploymentSpec
  status?: DeploymentStatus
}

export interface ReplicaSetStatus {
  replicas: number
  fullyLabeledReplicas?: number
  readyReplicas?: number
  availableReplicas?: number
  observedGeneration?: number
  conditions?: Condition[]
}

export interface ReplicaSet extends KubeObject {
  kind: 'ReplicaSet'
  spec: { replicas?: number; minReadySeconds?: number; selector: LabelSelector; template: PodTemplate }
  status?: ReplicaSetStatus
}

export interface ServicePort {
  name?: string
  protocol?: 'TCP' | 'UDP' | 'SCTP'
  port: number
  targetPort?: IntOrString
  nodePort?: number
}

export interface Service extends KubeObject {
  kind: 'Service'
  spec: {
    type?: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName'
    selector?: Labels
    ports?: ServicePort[]
    /** `None` for a headless Service. */
    clusterIP?: string
    clusterIPs?: string[]
    externalName?: string
    sessionAffinity?: string
    externalTrafficPolicy?: string
    internalTrafficPolicy?: string
    ipFamilies?: string[]
    ipFamilyPolicy?: string
    publishNotReadyAddresses?: boolean
  }
  status?: { loadBalancer?: object }
}

export interface ObjectReference {
  kind?: string
  namespace?: string
  name?: string
  uid?: string
  apiVersion?: string
  resourceVersion?: string
  fieldPath?: string
}

interface EndpointAddress {
  ip: string
  nodeName?: string
  targetRef?: ObjectReference
}

export interface EndpointSubset {
  addresses?: EndpointAddress[]
  notReadyAddresses?: EndpointAddress[]
  ports?: { name?: string; port: number; protocol?: string }[]
}

export interface Endpoints extends KubeObject {
  kind: 'Endpoints'
  subsets?: EndpointSubset[]
}

/** One address of a Service; it takes new connections while `conditions.ready` is true. */
export interface SliceEndpoint {
  addresses: string[]
  conditions: { ready: boolean; serving: boolean; terminating: boolean }
  nodeName?: string
  targetRef?: ObjectReference
}

/** Label `kubernetes.io/service-name` names the Service. Ports are those of the pods, named as the Service's ports are. */
export interface EndpointSlice extends KubeObject {
  kind: 'EndpointSlice'
  addressType: 'IPv4'
  endpoints: SliceEndpoint[]
  ports: { name: string; port: number; protocol: string }[]
}

export interface Node extends KubeObject {
  kind: 'Node'
  spec?: { podCIDR?: string; podCIDRs?: string[]; unschedulable?: boolean }
  status?: {
    capacity?: Labels
    allocatable?: Labels
    conditions?: (Condition & { lastHeartbeatTime?: string })[]
    addresses?: { type: string; address: string }[]
    nodeInfo?: Labels
  }
}

export interface ClusterEvent extends KubeObject {
  kind: 'Event'
  involvedObject: ObjectReference
  type: 'Normal' | 'Warning'
  reason: string
  message: string
  source: { component?: string; host?: string }
  firstTimestamp: string
  lastTimestamp: string
  count: number
}

export interface ConfigMap extends KubeObject {
  kind: 'ConfigMap'
  data?: Record<string, string>
  binaryData?: Record<string, string>
  immutable?: boolean
}

export interface Secret extends KubeObject {
  kind: 'Secret'
  type?: string
  /** Base64 values; `stringData` is folded into it when the object is written. */
  data?: Record<string, string>
  immutable?: boolean
}

export interface Namespace extends KubeObject {
  kind: 'Namespace'
  spec?: { finalizers?: string[] }
  status?: { phase?: 'Active' | 'Terminating' }
}

interface ServiceAccount extends KubeObject {
  kind: 'ServiceAccount'
}

/** Who leads or lives, by when it last said so; only clients write and read it. */
interface Lease extends KubeObject {
  kind: 'Lease'
  spec?: { holderIdentity?: string; leaseDurationSeconds?: number; acquireTime?: string; renewTime?: string }
}

/** Every kind the cluster keeps, by its name. */
export interface Kinds {
  Pod: Pod
  Deployment: Deployment
  ReplicaSet: ReplicaSet
  Service: Service
  Endpoints: Endpoints
  EndpointSlice: EndpointSlice
  Node: Node
  Event: ClusterEvent
  ConfigMap: ConfigMap
  Secret: Secret
  Namespace: Namespace
  ServiceAccount: ServiceAccount
  Lease: Lease
}
export type KindName = keyof Kinds

export type { Container } from './pod-kinds.ts'
