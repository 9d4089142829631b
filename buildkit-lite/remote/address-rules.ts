import { BlockList, isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { SlipwayError } from '#domain/errors'
import { MAIL_PORTS, PRIVATE_NETWORKS } from '#domain/private-networks'

/** What a Dockerfile may download from. */
export interface RemoteAccess {
  /** Also this machine and private networks, which only a trusted Dockerfile may reach. */
  allowPrivate: boolean
}

/** IPv6 that is public: of the global range without what wraps an IPv4 address or is for documents only. */
const GLOBAL_V6 = '2000::'
const GLOBAL_V6_BITS = 3
const WRAPPING_V6 = ['2001::/32', '2002::/16', '2001:db8::/32', '2001:10::/28', '2001:20::/28']

/** The addresses that downloads may connect to: the same that a RUN with a network may. */
export interface AddressRules {
  /** Refuses what is asked for by its number. Fails with kind `step-failed`. */
  check(host: string, address: string): void
  checkPort(url: URL): void
  isAllowed(address: string): boolean
}

/** Rules as of now: the host's own addresses and its neighbours' are private, too. */
export function createAddressRules({ allowPrivate }: RemoteAccess): AddressRules {
  const denied = allowPrivate ? null : deniedAddresses()
  const isAllowed = (address: string): boolean => denied === null || isPublic(denied, address)
  return {
    isAllowed,
    check: (host, address) => {
      if (!isAllowed(address)) throw refusal(host, address)
    },
    checkPort: (url) => {
      if (denied !== null && MAIL_PORTS.includes(Number(url.port)))
        throw new SlipwayError('step-failed', `${url.host} is refused: builds may not connect to mail ports`)
    },
  }
}

export function refusal(host: string, address: string): SlipwayError {
  const at = host === address ? '' : ` (${address})`
  return new SlipwayError(
    'step-failed',
    `${host}${at} is refused: it is this machine or in a private network, which builds may not reach`,
  )
}

interface Denied {
  v4: BlockList
  v6: BlockList
  globalV6: BlockList
}

function deniedAddresses(): Denied {
  const [v4, v6, globalV6] = [new BlockList(), new BlockList(), new BlockList()]
  for (const network of PRIVATE_NETWORKS) addNetwork(v4, network, 'ipv4')
  for (const network of WRAPPING_V6) addNetwork(v6, network, 'ipv6')
  globalV6.addSubnet(GLOBAL_V6, GLOBAL_V6_BITS, 'ipv6')
  for (const one of Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])) {
    if (one.family === 'IPv4') addNetwork(v4, one.cidr ?? one.address, 'ipv4')
    else addNetwork(v6, one.cidr ?? one.address, 'ipv6')
  }
  return { v4, v6, globalV6 }
}

function addNetwork(list: BlockList, network: string, family: 'ipv4' | 'ipv6'): void {
  const [address = '', bits] = network.split('/')
  if (bits === undefined) list.addAddress(address, family)
  else list.addSubnet(address, Number(bits), family)
}

function isPublic({ v4, v6, globalV6 }: Denied, address: string): boolean {
  if (!isIPv6(address)) return !v4.check(address, 'ipv4')
  // An IPv4 address in the clothes of an IPv6 one is not of the global range.
  return globalV6.check(address, 'ipv6') && !v6.check(address, 'ipv6')
}
