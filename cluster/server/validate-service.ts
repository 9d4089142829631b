import type { Service, ServicePort } from '../kinds.ts'
import type { Cause } from './api-error.ts'
import { duplicate, invalidValue, required, unsupportedValue } from './field-errors.ts'
import { labelProblem, portNameProblem } from './names.ts'

const TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort']
const PORT_RANGE = 'must be between 1 and 65535, inclusive'

export function validateService({ spec }: Service, before: Service | null): Cause[] {
  if (!spec) return [required('spec.ports')]
  const causes: Cause[] = []
  const isHeadless = spec.clusterIP === 'None'
  const ports = spec.ports ?? []
  if (ports.length === 0 && !isHeadless && spec.type !== 'ExternalName') causes.push(required('spec.ports'))
  for (const [index, port] of ports.entries()) causes.push(...validatePort(port, index, ports))
  if (spec.type && !TYPES.includes(spec.type)) causes.push(unsupportedValue('spec.type', spec.type, TYPES))
  if (spec.type === 'ExternalName' && !spec.externalName) causes.push(required('spec.externalName'))
  const isOwnAddress = before?.spec.clusterIP && before.spec.type !== 'ExternalName' && spec.type !== 'ExternalName'
  if (isOwnAddress && spec.clusterIP !== before.spec.clusterIP) {
    causes.push(invalidValue('spec.clusterIPs[0]', [spec.clusterIP ?? ''], 'may not change once set'))
  }
  return causes
}

function validatePort(port: ServicePort, index: number, all: ServicePort[]): Cause[] {
  const field = `spec.ports[${index}]`
  const causes: Cause[] = []
  if (!port.name && all.length > 1) causes.push(required(`${field}.name`))
  if (port.name) {
    const problem = labelProblem(port.name)
    if (problem) causes.push(invalidValue(`${field}.name`, port.name, problem))
  }
  if (!(port.port >= 1 && port.port <= 65_535)) causes.push(invalidValue(`${field}.port`, port.port ?? 0, PORT_RANGE))
  if (!['TCP', 'UDP', 'SCTP'].includes(port.protocol ?? 'TCP')) {
    causes.push(unsupportedValue(`${field}.protocol`, port.protocol, ['SCTP', 'TCP', 'UDP']))
  }
  const { targetPort } = port
  if (typeof targetPort === 'number' && !(targetPort >= 1 && targetPort <= 65_535)) {
    causes.push(invalidValue(`${field}.targetPort`, targetPort, PORT_RANGE))
  } else if (typeof targetPort === 'string' && portNameProblem(targetPort)) {
    causes.push(invalidValue(`${field}.targetPort`, targetPort, portNameProblem(targetPort) ?? ''))
  }
  const earlier = all.slice(0, index)
  const isSame = (other: ServicePort) => other.port === port.port && other.protocol === port.protocol
  if (earlier.some(isSame)) causes.push(duplicate(field, port))
  else if (port.name && earlier.some(({ name }) => name === port.name))
    causes.push(duplicate(`${field}.name`, port.name))
  return causes
}
