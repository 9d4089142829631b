import { networkInterfaces } from 'node:os'
import { SlipwayError } from '#domain/errors'
import type { ObjectStore } from './objects.ts'
import type { Route } from './service-proxy/loopback-routing.ts'

/** Second numbers of the 10.x.0.0/16 networks Services may live in, in the order they are tried. */
const CANDIDATES = [96, 97, 98, 99, 100, 101, 102, 103]

/** A network for the addresses of Services that no route of the host leads to; the one in use, if there are Services. */
export function chooseServiceCidr(objects: Pick<ObjectStore, 'list'>, routes: readonly Route[]): string {
  for (const { spec } of objects.list('Service')) {
    const network = /^(\d+\.\d+)\.\d+\.\d+$/.exec(spec.clusterIP ?? '')?.[1]
    if (network) return `${network}.0.0/16`
  }
  const free = CANDIDATES.find((second) => !routes.some((route) => overlaps(route, second)))
  if (free === undefined) {
    throw new SlipwayError('unavailable', 'No network is left for Services: 10.96.0.0/13 is all routed on this host')
  }
  return `10.${free}.0.0/16`
}

function overlaps({ destination, mask }: Route, second: number): boolean {
  const network = (10 << 24) | (second << 16)
  const common = mask & 0xffff0000
  return mask !== 0 && (destination & common) === (network & common)
}

/** The host's own address as pods may reach it. */
export function hostAddress(): string {
  const own = Object.entries(networkInterfaces()).filter(([name]) => !/^(slip|docker|br-|veth)/.test(name))
  const all = own.flatMap(([, addresses]) => addresses ?? [])
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'
}
