import type { PodTemplate } from '../kinds.ts'
import type { Container, PodSpec, Probe, Volume } from '../pod-kinds.ts'

/** Files of a volume: 0644. */
const FILE_MODE = 0o644
const GRACE_PERIOD_SECONDS = 30

export function defaultTemplate(template: PodTemplate | undefined): void {
  if (!template) return
  template.metadata ??= {}
  defaultPodSpec(template.spec)
}

/** Edits the spec. */
export function defaultPodSpec(spec: PodSpec | undefined): void {
  if (!spec) return
  spec.restartPolicy ??= 'Always'
  spec.terminationGracePeriodSeconds ??= GRACE_PERIOD_SECONDS
  spec.dnsPolicy ??= 'ClusterFirst'
  spec.securityContext ??= {}
  spec.schedulerName ??= 'default-scheduler'
  for (const container of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) defaultContainer(container)
  for (const volume of spec.volumes ?? []) defaultVolume(volume)
}

function defaultContainer(container: Container): void {
  container.resources ??= {}
  container.terminationMessagePath ??= '/dev/termination-log'
  container.terminationMessagePolicy ??= 'File'
  container.imagePullPolicy ??= isLatest(container.image ?? '') ? 'Always' : 'IfNotPresent'
  for (const port of container.ports ?? []) port.protocol ??= 'TCP'
  for (const { valueFrom } of container.env ?? []) if (valueFrom?.fieldRef) valueFrom.fieldRef.apiVersion ??= 'v1'
  defaultResources(container)
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) defaultProbe(probe)
  for (const action of [container.lifecycle?.postStart, container.lifecycle?.preStop]) defaultHttpGet(action?.httpGet)
}

/** An untagged image is `latest`; a digest never changes. */
function isLatest(image: string): boolean {
  if (image.includes('@')) return false
  const tag = /:([^/:]+)$/.exec(image)?.[1]
  return tag === undefined || tag === 'latest'
}

function defaultResources({ resources }: Container): void {
  if (!resources?.limits) return
  const canonical = (list: Record<string, string | number>) =>
    Object.fromEntries(
      Object.entries(list).map(([name, value]) => [name, name === 'cpu' ? cpuText(value) : String(value)]),
    )
  resources.limits = canonical(resources.limits)
  resources.requests = { ...resources.limits, ...canonical(resources.requests ?? {}) }
}

/** `0.5` is written `500m`. */
function cpuText(value: string | number): string {
  const text = String(value)
  return /^\d*\.\d+$/.test(text) ? `${Math.ceil(Number(text) * 1000)}m` : text
}

function defaultProbe(probe: Probe | undefined): void {
  if (!probe) return
  probe.timeoutSeconds ??= 1
  probe.periodSeconds ??= 10
  probe.successThreshold ??= 1
  probe.failureThreshold ??= 3
  defaultHttpGet(probe.httpGet)
  if (probe.grpc) probe.grpc.service ??= ''
}

function defaultHttpGet(httpGet: Probe['httpGet']): void {
  if (!httpGet) return
  httpGet.path ??= '/'
  httpGet.scheme ??= 'HTTP'
}

function defaultVolume(volume: Volume): void {
  if (volume.hostPath) volume.hostPath.type ??= ''
  for (const source of [volume.configMap, volume.secret, volume.downwardAPI, volume.projected]) {
    if (source) source.defaultMode ??= FILE_MODE
  }
  for (const item of volume.downwardAPI?.items ?? []) {
    const { fieldRef } = item as { fieldRef?: { apiVersion?: string } }
    if (fieldRef) fieldRef.apiVersion ??= 'v1'
  }
  const isBare = Object.keys(volume).length === 1
  if (isBare) volume.emptyDir = {}
}
