import { closeSync, constants, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { SlipwayError } from '#domain/errors'
import type { Sys } from '#host/sys'
import type { NetworkNames } from './leftovers.ts'

/** All owners on a host, of whatever data directory, agree here on who uses which addresses. */
const LOCK_DIR = '/run/slipway/addresses'
/** Second octets of the 10.x.0.0/16 that are tried: for builds, and for pods. */
const CANDIDATES: readonly (readonly [builds: number, pods: number])[] = [
  [213, 214],
  [217, 218],
  [221, 222],
  [225, 226],
  [233, 234],
  [241, 242],
]
/** A /16 has 64 blocks of 1024 addresses (/22). */
const BLOCKS = 64
const BLOCK_ADDRESSES = 1024

export type NetworkKind = 'build' | 'pod'

/** The addresses of one owner, until disposed. Its lock file names the owner for as long as it has interfaces. */
export interface AddressBlock extends Disposable {
  /** Of an owner that died with these addresses, or null. */
  readonly previous: NetworkNames | null
  /** Subnet of all owners' pods. */
  readonly podNetwork: string
  /** The lowest free address of a kind, with the number that interface names carry. */
  take(kind: NetworkKind): { address: string; index: number }
  release(kind: NetworkKind, index: number): void
}

/** A subnet as two numbers. */
export interface Subnet {
  base: number
  bits: number
}

/** Claims a block that collides with none of the host's routes. */
export function claimAddresses(sys: Sys, hostRoutes: readonly Subnet[], names: NetworkNames): AddressBlock {
  mkdirSync(LOCK_DIR, { recursive: true, mode: 0o755 })
  for (const [builds, pods] of CANDIDATES) {
    const networks = [builds, pods].map((octet) => parseSubnet(`10.${octet}.0.0/16`))
    if (hostRoutes.some((route) => networks.some((network) => overlap(route, network)))) continue
    for (let block = 0; block < BLOCKS; block++) {
      const fd = openSync(join(LOCK_DIR, `10.${builds}-${block}`), constants.O_RDWR | constants.O_CREAT, 0o600)
      if (sys.tryLock(fd, 'exclusive')) return blockOf({ build: builds, pod: pods }, block, takeOver(fd, names))
      closeSync(fd)
    }
  }
  throw new SlipwayError(
    'unavailable',
    `No free range of addresses for containers: tried ${CANDIDATES.map((pair) => `10.${pair[0]}.0.0/16`).join(', ')}`,
  )
}

function takeOver(fd: number, names: NetworkNames): { fd: number; previous: NetworkNames | null } {
  const [linkPrefix = '', nftTable] = readFileSync(fd, 'utf8').split(' ')
  ftruncateSync(fd)
  writeSync(fd, `${names.linkPrefix} ${names.nftTable}`, 0)
  return { fd, previous: nftTable === undefined ? null : { linkPrefix, nftTable } }
}

function blockOf(
  octets: Record<NetworkKind, number>,
  block: number,
  { fd, previous }: ReturnType<typeof takeOver>,
): AddressBlock {
  const used: Record<NetworkKind, Set<number>> = { build: new Set(), pod: new Set() }
  let open = true
  return {
    previous,
    podNetwork: `10.${octets.pod}.0.0/16`,
    take(kind) {
      // The first and last address of a subnet have meanings of old.
      for (let index = 1; index < BLOCK_ADDRESSES - 1; index++) {
        if (used[kind].has(index)) continue
        used[kind].add(index)
        const host = block * BLOCK_ADDRESSES + index
        return { address: `10.${octets[kind]}.${host >> 8}.${host & 255}`, index }
      }
      throw new SlipwayError('unavailable', `All ${BLOCK_ADDRESSES - 2} addresses for a ${kind} are in use`)
    },
    release: (kind, index) => void used[kind].delete(index),
    [Symbol.dispose]() {
      if (!open) return
      open = false
      ftruncateSync(fd)
      closeSync(fd)
    },
  }
}

/** `10.0.0.0/8`, or an address, which is a subnet of one. */
export function parseSubnet(text: string): Subnet {
  const [address = '', bits = '32'] = text.split('/')
  const base = address.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0)
  return { base, bits: Number(bits) }
}

export function overlap(a: Subnet, b: Subnet): boolean {
  const size = 2 ** (32 - Math.min(a.bits, b.bits))
  return Math.floor(a.base / size) === Math.floor(b.base / size)
}
