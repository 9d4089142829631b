import type { Service } from '../kinds.ts'
import type { ObjectStore } from '../objects.ts'
import { invalid } from './api-error.ts'
import { invalidValue } from './field-errors.ts'
import { resourceOf } from './resources.ts'

/** Ports of the host that Services may have. */
const NODE_PORTS = { first: 30_000, last: 32_767 }
const ADDRESS_COUNT = 2 ** 16

/** Gives Services their cluster addresses and node ports. Addresses it gave are held until the Service is stored. */
export class ServiceAddresses {
  readonly #objects: Pick<ObjectStore, 'list'>
  /** First two numbers of the /16 addresses come from, such as `10.96`. */
  readonly #prefix: string
  readonly #held = new Set<string | number>()

  constructor(objects: Pick<ObjectStore, 'list'>, serviceCidr: string) {
    this.#objects = objects
    this.#prefix = serviceCidr.split('.').slice(0, 2).join('.')
  }

  /** A copy of the Service with addresses, and what lets go of them again. */
  assign(given: Service, before: Service | null): { service: Service; release: () => void } {
    const service = structuredClone(given)
    const { spec } = service
    const held: (string | number)[] = []
    const hold = <T extends string | number>(value: T): T => {
      this.#held.add(value)
      held.push(value)
      return value
    }
    const release = () => {
      for (const value of held) this.#held.delete(value)
    }
    const others = this.#objects
      .list('Service')
      .filter((other) => other.metadata.uid !== before?.metadata.uid || !before)
    try {
      if (spec.type !== 'ExternalName') this.#assignAddress(service, before, { others, hold })
      else {
        delete spec.clusterIP
        delete spec.clusterIPs
      }
      if (spec.type === 'NodePort' || spec.type === 'LoadBalancer') this.#assignPorts(service, before, { others, hold })
      else for (const port of spec.ports ?? []) delete port.nodePort
    } catch (error) {
      release()
      throw error
    }
    return { service, release }
  }

  #assignAddress(service: Service, before: Service | null, { others, hold }: Holding): void {
    const { spec } = service
    const wanted = spec.clusterIP || spec.clusterIPs?.[0] || before?.spec.clusterIP
    const used = new Set(others.map((other) => other.spec.clusterIP))
    const isFree = (address: string) => !used.has(address) && !this.#held.has(address)
    if (wanted === 'None' || (wanted && wanted === before?.spec.clusterIP)) spec.clusterIP = wanted
    else if (wanted) {
      const problem = !wanted.startsWith(`${this.#prefix}.`)
        ? `provided IP is not in the valid range. The range of valid IPs is ${this.#prefix}.0.0/16`
        : 'provided IP is already allocated'
      const isWrong = !wanted.startsWith(`${this.#prefix}.`) || !isFree(wanted)
      if (isWrong) throw wrong(service, 'spec.clusterIPs', [wanted], `failed to allocate IP ${wanted}: ${problem}`)
      spec.clusterIP = hold(wanted)
    } else {
      spec.clusterIP = hold(this.#freeAddress(isFree))
    }
    spec.clusterIPs = [spec.clusterIP]
  }

  #freeAddress(isFree: (address: string) => boolean): string {
    const start = Math.floor(Math.random() * ADDRESS_COUNT)
    for (let step = 0; step < ADDRESS_COUNT; step++) {
      const number = (start + step) % ADDRESS_COUNT
      const isEdge = number < 256 || number >= ADDRESS_COUNT - 256
      const address = `${this.#prefix}.${number >> 8}.${number & 255}`
      if (!isEdge && isFree(address)) return address
    }
    throw new Error(`no address is left in ${this.#prefix}.0.0/16`)
  }

  #assignPorts(service: Service, before: Service | null, { others, hold }: Holding): void {
    const used = new Set(others.flatMap((other) => (other.spec.ports ?? []).map(({ nodePort }) => nodePort)))
    const isFree = (port: number) => !used.has(port) && !this.#held.has(port)
    for (const [index, port] of (service.spec.ports ?? []).entries()) {
      const earlier = before?.spec.ports?.find((other) => other.port === port.port && other.protocol === port.protocol)
      const wanted = port.nodePort || earlier?.nodePort
      const field = `spec.ports[${index}].nodePort`
      if (wanted && (wanted < NODE_PORTS.first || wanted > NODE_PORTS.last)) {
        const range = `${NODE_PORTS.first}-${NODE_PORTS.last}`
        throw wrong(
          service,
          field,
          wanted,
          `provided port is not in the valid range. The range of valid ports is ${range}`,
        )
      }
      if (wanted && !isFree(wanted)) throw wrong(service, field, wanted, 'provided port is already allocated')
      port.nodePort = hold(wanted || this.#freePort(isFree))
    }
  }

  #freePort(isFree: (port: number) => boolean): number {
    const count = NODE_PORTS.last - NODE_PORTS.first + 1
    const start = Math.floor(Math.random() * count)
    for (let step = 0; step < count; step++) {
      const port = NODE_PORTS.first + ((start + step) % count)
      if (isFree(port)) return port
    }
    throw new Error('no node port is left')
  }
}

interface Holding {
  others: Service[]
  hold: <T extends string | number>(value: T) => T
}

function wrong(service: Service, field: string, value: unknown, why: string) {
  return invalid(resourceOf('Service'), service.metadata.name, [invalidValue(field, value, why)])
}
