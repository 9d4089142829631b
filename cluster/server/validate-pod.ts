import type { Container, PodSpec, Probe, Volume } from '../pod-kinds.ts'
import type { Cause } from './api-error.ts'
import { duplicate, forbiddenField, invalidValue, required, unsupportedValue } from './field-errors.ts'
import { envNameProblem, labelProblem, portNameProblem } from './names.ts'
import { compareQuantities } from './quantity.ts'

const PORT_RANGE = 'must be between 1 and 65535, inclusive'

export function validatePodSpec(spec: PodSpec | undefined, path: string): Cause[] {
  if (!spec) return [required(`${path}.containers`)]
  const causes: Cause[] = (spec.volumes ?? []).flatMap((volume, index) =>
    validateVolume(volume, `${path}.volumes[${index}]`),
  )
  const volumes = new Set((spec.volumes ?? []).map(({ name }) => name))
  if (!spec.containers || spec.containers.length === 0) causes.push(required(`${path}.containers`))
  const names = new Set<string>()
  for (const list of ['initContainers', 'containers'] as const) {
    for (const [index, container] of (spec[list] ?? []).entries()) {
      const at = `${path}.${list}[${index}]`
      if (names.has(container.name)) causes.push(duplicate(`${at}.name`, container.name))
      names.add(container.name)
      causes.push(...validateContainer(container, at), ...validateMounts(container, volumes, at))
    }
  }
  if (!['Always', 'OnFailure', 'Never'].includes(spec.restartPolicy ?? 'Always')) {
    causes.push(unsupportedValue(`${path}.restartPolicy`, spec.restartPolicy, ['Always', 'OnFailure', 'Never']))
  }
  return causes
}

function validateContainer(container: Container, at: string): Cause[] {
  const causes: Cause[] = []
  if (!container.name) causes.push(required(`${at}.name`))
  else if (labelProblem(container.name)) {
    causes.push(invalidValue(`${at}.name`, container.name, labelProblem(container.name) ?? ''))
  }
  if (!container.image) causes.push(required(`${at}.image`))
  const policies = ['Always', 'IfNotPresent', 'Never']
  if (container.imagePullPolicy && !policies.includes(container.imagePullPolicy)) {
    causes.push(unsupportedValue(`${at}.imagePullPolicy`, container.imagePullPolicy, policies))
  }
  causes.push(...validatePorts(container, at), ...validateEnv(container, at), ...validateResources(container, at))
  for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe'] as const) {
    causes.push(...validateProbe(container[name], `${at}.${name}`, name))
  }
  return causes
}

function validatePorts({ ports = [] }: Container, at: string): Cause[] {
  const names = new Set<string>()
  return ports.flatMap((port, index) => {
    const field = `${at}.ports[${index}]`
    const causes: Cause[] = []
    if (port.name !== undefined) {
      const problem = portNameProblem(port.name)
      if (problem) causes.push(invalidValue(`${field}.name`, port.name, problem))
      if (names.has(port.name)) causes.push(duplicate(`${field}.name`, port.name))
      names.add(port.name)
    }
    if (port.containerPort === undefined) causes.push(required(`${field}.containerPort`))
    else if (!isPort(port.containerPort)) {
      causes.push(invalidValue(`${field}.containerPort`, port.containerPort, PORT_RANGE))
    }
    return causes
  })
}

function validateEnv({ env = [] }: Container, at: string): Cause[] {
  return env.flatMap(({ name, value, valueFrom }, index) => {
    const field = `${at}.env[${index}]`
    if (!name) return [required(`${field}.name`)]
    const problem = envNameProblem(name)
    if (problem) return [invalidValue(`${field}.name`, name, problem)]
    const isBoth = value !== undefined && value !== '' && valueFrom !== undefined
    return isBoth ? [invalidValue(`${field}.valueFrom`, '', 'may not be specified when `value` is not empty')] : []
  })
}

function validateResources({ resources }: Container, at: string): Cause[] {
  const limits = resources?.limits ?? {}
  return Object.entries(resources?.requests ?? {}).flatMap(([name, request]) => {
    const limit = limits[name]
    if (limit === undefined || compareQuantities(request, limit) <= 0) return []
    const why = `must be less than or equal to ${name} limit of ${limit}`
    return [invalidValue(`${at}.resources.requests`, String(request), why)]
  })
}

function validateProbe(probe: Probe | undefined, at: string, name: string): Cause[] {
  if (!probe) return []
  const causes: Cause[] = []
  const actions = (['exec', 'httpGet', 'tcpSocket', 'grpc'] as const).filter((action) => probe[action] !== undefined)
  if (actions.length === 0) causes.push(required(at, 'must specify a handler type'))
  for (const extra of actions.slice(1))
    causes.push(forbiddenField(`${at}.${extra}`, 'may not specify more than 1 handler type'))
  for (const action of ['httpGet', 'tcpSocket'] as const) {
    const port = probe[action] && (probe[action].port ?? 0)
    if (typeof port === 'number' && !isPort(port)) causes.push(invalidValue(`${at}.${action}.port`, port, PORT_RANGE))
  }
  for (const field of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ] as const) {
    const value = probe[field] ?? 0
    if (value < 0) causes.push(invalidValue(`${at}.${field}`, value, 'must be greater than or equal to 0'))
  }
  if (name !== 'readinessProbe' && (probe.successThreshold ?? 1) !== 1) {
    causes.push(invalidValue(`${at}.successThreshold`, probe.successThreshold, 'must be 1'))
  }
  return causes
}

function validateVolume(volume: Volume, at: string): Cause[] {
  if (!volume.name) return [required(`${at}.name`)]
  const [, ...extra] = Object.keys(volume).filter((key) => key !== 'name')
  return extra.map((source) => forbiddenField(`${at}.${source}`, 'may not specify more than 1 volume type'))
}

function validateMounts({ volumeMounts = [] }: Container, volumes: Set<string>, at: string): Cause[] {
  const paths = new Set<string>()
  return volumeMounts.flatMap(({ name, mountPath }, index) => {
    const field = `${at}.volumeMounts[${index}]`
    const causes: Cause[] = []
    if (!volumes.has(name)) {
      causes.push({
        reason: 'FieldValueNotFound',
        message: `Not found: ${JSON.stringify(name)}`,
        field: `${field}.name`,
      })
    }
    if (!mountPath) causes.push(required(`${field}.mountPath`))
    else if (paths.has(mountPath)) causes.push(invalidValue(`${field}.mountPath`, mountPath, 'must be unique'))
    paths.add(mountPath)
    return causes
  })
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535
}
