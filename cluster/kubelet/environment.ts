import { SlipwayError } from '#domain/errors'
import type { ConfigMap, Labels, Pod, Secret, Service } from '../kinds.ts'
import type { Container, EnvVar } from '../pod-kinds.ts'
import { quantityValue } from '../server/quantity.ts'
import { expandVariables } from './expansion.ts'

/** Where a container's variables come from, besides its own spec. */
export interface EnvironmentSources {
  configMap: (name: string) => ConfigMap | null
  secret: (name: string) => Secret | null
  /** The Services of the pod's namespace. */
  services: readonly Service[]
  node: { name: string; ip: string; capacity: { cpus: number; memoryBytes: number } }
  podIp: string
}

/**
 * The variables of a container, without the image's: Services, then `envFrom`, then `env`, each seeing those before it.
 * Fails with kind `invalid` or `not-found` where a source that is not optional is missing.
 */
export function composeEnvironment(pod: Pod, container: Container, sources: EnvironmentSources): Map<string, string> {
  const variables = new Map<string, string>()
  if (pod.spec.enableServiceLinks !== false) addServiceLinks(variables, sources.services)
  for (const { prefix = '', configMapRef, secretRef } of container.envFrom ?? []) {
    const data = configMapRef
      ? configMapData(sources, configMapRef.name, configMapRef.optional)
      : secretData(sources, secretRef?.name ?? '', secretRef?.optional)
    for (const [key, value] of Object.entries(data ?? {})) variables.set(prefix + key, value)
  }
  for (const variable of container.env ?? []) {
    const value = valueOf(variable, { pod, container, sources, variables })
    if (value !== null) variables.set(variable.name, value)
  }
  return variables
}

interface Scope {
  pod: Pod
  container: Container
  sources: EnvironmentSources
  variables: ReadonlyMap<string, string>
}

function valueOf(variable: EnvVar, scope: Scope): string | null {
  const { valueFrom } = variable
  if (!valueFrom) return expandVariables(variable.value ?? '', (name) => scope.variables.get(name))
  if (valueFrom.fieldRef) return fieldOf(valueFrom.fieldRef.fieldPath, scope)
  if (valueFrom.resourceFieldRef) return resourceOf(valueFrom.resourceFieldRef, scope)
  if (valueFrom.configMapKeyRef) {
    const { name, key, optional } = valueFrom.configMapKeyRef
    return pick(configMapData(scope.sources, name, optional), { key, optional, what: 'configmap', name })
  }
  if (valueFrom.secretKeyRef) {
    const { name, key, optional } = valueFrom.secretKeyRef
    return pick(secretData(scope.sources, name, optional), { key, optional, what: 'secret', name })
  }
  return ''
}

function pick(
  data: Labels | null,
  wanted: { key: string; optional: boolean | undefined; what: string; name: string },
): string | null {
  const value = data?.[wanted.key]
  if (value !== undefined) return value
  if (wanted.optional) return null
  throw new SlipwayError('not-found', `couldn't find key ${wanted.key} in ${wanted.what} "${wanted.name}"`)
}

function configMapData(sources: EnvironmentSources, name: string, optional?: boolean): Labels | null {
  const found = sources.configMap(name)
  if (!found && !optional) throw new SlipwayError('not-found', `configmap "${name}" not found`)
  return found ? (found.data ?? {}) : null
}

function secretData(sources: EnvironmentSources, name: string, optional?: boolean): Labels | null {
  const found = sources.secret(name)
  if (!found && !optional) throw new SlipwayError('not-found', `secret "${name}" not found`)
  if (!found) return null
  return Object.fromEntries(
    Object.entries(found.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]),
  )
}

function fieldOf(path: string, { pod, sources }: Scope): string {
  const keyed = /^metadata\.(labels|annotations)\['([^']+)'\]$/.exec(path)
  if (keyed) return pod.metadata[keyed[1] as 'labels' | 'annotations']?.[keyed[2] ?? ''] ?? ''
  const fields: Readonly<Record<string, string>> = {
    'metadata.name': pod.metadata.name,
    'metadata.namespace': pod.metadata.namespace ?? '',
    'metadata.uid': pod.metadata.uid ?? '',
    'spec.nodeName': sources.node.name,
    'spec.serviceAccountName': pod.spec.serviceAccountName ?? 'default',
    'status.hostIP': sources.node.ip,
    'status.hostIPs': sources.node.ip,
    'status.podIP': sources.podIp,
    'status.podIPs': sources.podIp,
  }
  const value = fields[path]
  if (value === undefined) throw new SlipwayError('invalid', `unsupported fieldPath: ${path}`)
  return value
}

function resourceOf(
  ref: { containerName?: string; resource: string; divisor?: string },
  { pod, container, sources }: Scope,
): string {
  const of = pod.spec.containers.find((other) => other.name === ref.containerName) ?? container
  const [list, resource = ''] = ref.resource.split('.')
  const given = list === 'requests' ? of.resources?.requests?.[resource] : of.resources?.limits?.[resource]
  const whole: Readonly<Record<string, number>> = {
    cpu: sources.node.capacity.cpus,
    memory: sources.node.capacity.memoryBytes,
  }
  const amount = given === undefined ? (whole[resource] ?? 0) : quantityValue(given)
  const divisor = quantityValue(ref.divisor ?? '1') || 1
  return String(Math.ceil(amount / divisor))
}

/** `WEB_SERVICE_HOST`, `WEB_SERVICE_PORT`, … for every Service that has an address. https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables */
function addServiceLinks(variables: Map<string, string>, services: readonly Service[]): void {
  for (const { metadata, spec } of services) {
    const [first] = spec.ports ?? []
    if (!first || !spec.clusterIP || spec.clusterIP === 'None') continue
    const prefix = metadata.name.toUpperCase().replaceAll('-', '_')
    variables.set(`${prefix}_SERVICE_HOST`, spec.clusterIP)
    variables.set(`${prefix}_SERVICE_PORT`, String(first.port))
    for (const { name, port } of spec.ports ?? [])
      if (name) variables.set(`${prefix}_SERVICE_PORT_${name.toUpperCase().replaceAll('-', '_')}`, String(port))
  }
}
