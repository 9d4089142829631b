import type { Condition, IntOrString, Labels } from './kinds.ts'

/** A pod's parts; fields as in https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/ */
export interface PodSpec {
  containers: Container[]
  initContainers?: Container[]
  volumes?: Volume[]
  restartPolicy?: 'Always' | 'OnFailure' | 'Never'
  terminationGracePeriodSeconds?: number
  activeDeadlineSeconds?: number
  dnsPolicy?: string
  hostname?: string
  subdomain?: string
  nodeName?: string
  nodeSelector?: Labels
  hostNetwork?: boolean
  hostAliases?: { ip: string; hostnames?: string[] }[]
  imagePullSecrets?: { name?: string }[]
  securityContext?: PodSecurityContext
  serviceAccountName?: string
  schedulerName?: string
  enableServiceLinks?: boolean
  readinessGates?: { conditionType: string }[]
  priority?: number
  preemptionPolicy?: string
  tolerations?: object[]
  overhead?: Labels
}

interface PodSecurityContext {
  runAsUser?: number
  runAsGroup?: number
  runAsNonRoot?: boolean
  fsGroup?: number
  supplementalGroups?: number[]
}

export interface Container {
  name: string
  image: string
  command?: string[]
  args?: string[]
  workingDir?: string
  env?: EnvVar[]
  envFrom?: {
    prefix?: string
    configMapRef?: { name: string; optional?: boolean }
    secretRef?: { name: string; optional?: boolean }
  }[]
  ports?: { name?: string; containerPort: number; protocol?: string; hostPort?: number; hostIP?: string }[]
  resources?: { limits?: Record<string, string | number>; requests?: Record<string, string | number> }
  volumeMounts?: { name: string; mountPath: string; subPath?: string; readOnly?: boolean }[]
  livenessProbe?: Probe
  readinessProbe?: Probe
  startupProbe?: Probe
  lifecycle?: { postStart?: ProbeAction; preStop?: ProbeAction & { sleep?: { seconds: number } } }
  imagePullPolicy?: 'Always' | 'IfNotPresent' | 'Never'
  securityContext?: ContainerSecurityContext
  terminationMessagePath?: string
  terminationMessagePolicy?: 'File' | 'FallbackToLogsOnError'
  restartPolicy?: 'Always'
  stdin?: boolean
  stdinOnce?: boolean
  tty?: boolean
}

export interface EnvVar {
  name: string
  value?: string
  valueFrom?: {
    fieldRef?: { apiVersion?: string; fieldPath: string }
    resourceFieldRef?: { containerName?: string; resource: string; divisor?: string }
    configMapKeyRef?: { name: string; key: string; optional?: boolean }
    secretKeyRef?: { name: string; key: string; optional?: boolean }
  }
}

interface ContainerSecurityContext {
  runAsUser?: number
  runAsGroup?: number
  runAsNonRoot?: boolean
  privileged?: boolean
  readOnlyRootFilesystem?: boolean
  allowPrivilegeEscalation?: boolean
  capabilities?: { add?: string[]; drop?: string[] }
}

export interface ProbeAction {
  exec?: { command?: string[] }
  httpGet?: {
    path?: string
    port: IntOrString
    host?: string
    scheme?: 'HTTP' | 'HTTPS'
    httpHeaders?: { name: string; value: string }[]
  }
  tcpSocket?: { port: IntOrString; host?: string }
}

export interface Probe extends ProbeAction {
  grpc?: { port: number; service?: string }
  initialDelaySeconds?: number
  timeoutSeconds?: number
  periodSeconds?: number
  successThreshold?: number
  failureThreshold?: number
  terminationGracePeriodSeconds?: number
}

interface KeyToPath {
  key: string
  path: string
  mode?: number
}

export interface Volume {
  name: string
  emptyDir?: { medium?: string; sizeLimit?: string }
  hostPath?: { path: string; type?: string }
  configMap?: { name?: string; items?: KeyToPath[]; defaultMode?: number; optional?: boolean }
  secret?: { secretName?: string; items?: KeyToPath[]; defaultMode?: number; optional?: boolean }
  downwardAPI?: { items?: object[]; defaultMode?: number }
  projected?: { sources?: object[]; defaultMode?: number }
  persistentVolumeClaim?: { claimName: string; readOnly?: boolean }
}

export interface PodStatus {
  phase?: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown'
  conditions?: Condition[]
  message?: string
  reason?: string
  hostIP?: string
  podIP?: string
  podIPs?: { ip: string }[]
  startTime?: string
  containerStatuses?: ContainerStatus[]
  initContainerStatuses?: ContainerStatus[]
  qosClass?: 'Guaranteed' | 'Burstable' | 'BestEffort'
}

export interface ContainerStatus {
  name: string
  image: string
  imageID: string
  containerID?: string
  ready: boolean
  started?: boolean
  restartCount: number
  state?: ContainerState
  lastState?: ContainerState
}

export interface ContainerState {
  waiting?: { reason?: string; message?: string }
  running?: { startedAt?: string }
  terminated?: {
    exitCode: number
    signal?: number
    reason?: string
    message?: string
    startedAt?: string
    finishedAt?: string
    containerID?: string
  }
}
