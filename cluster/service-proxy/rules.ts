import type { Forward } from './forwards.ts'

/**
 * The whole table as one transaction for `nft -f`: what was there is replaced in the same instant. Address translation
 * is decided once per connection and remembered by the kernel, so connections that exist go on undisturbed when their
 * backend leaves the rules. https://wiki.nftables.org/wiki-nftables/index.php/Performing_Network_Address_Translation_(NAT)
 */
export function renderRules(table: string, forwards: readonly Forward[]): string {
  const served = forwards.filter((forward) => forward.backends.length > 0)
  const refused = forwards.filter((forward) => forward.backends.length === 0 && forward.clusterIp)
  const byAddress = served.filter((forward) => forward.clusterIp)
  const byNodePort = served.filter((forward) => forward.nodePort)
  const chainOf = (forward: Forward) => `goto service_${served.indexOf(forward)}`
  return `${renderRemoval(table)}table ip ${table} {
  map cluster_ports {
    type ipv4_addr . inet_proto . inet_service : verdict
    ${elements(byAddress.map((forward) => `${addressKey(forward)} : ${chainOf(forward)}`))}
  }
  map node_ports {
    type inet_proto . inet_service : verdict
    ${elements(byNodePort.map((forward) => `${forward.protocol} . ${forward.nodePort} : ${chainOf(forward)}`))}
  }
  set hairpins {
    type ipv4_addr . ipv4_addr
    ${elements(hairpins(served))}
  }
  set refused {
    type ipv4_addr . inet_proto . inet_service
    ${elements(refused.map(addressKey))}
  }
${served.map((forward, index) => renderService(forward, index)).join('')}${BASE_CHAINS}}
`
}

/** Removes the table if it is there, and does nothing if not. */
export function renderRemoval(table: string): string {
  return `add table ip ${table}\ndelete table ip ${table}\n`
}

/**
 * Node ports answer on every address of the host, on 127.0.0.1 too. Pods' interfaces may route loopback addresses for
 * that, so nobody from outside may send to them (`guard`). The way back from a pod must pass here again, also to a
 * loopback address or to the pod itself: hence the masquerade of those; other clients keep their address. A Service that
 * has no backend says so at once.
 */
const BASE_CHAINS = `  chain lead {
    ip daddr . meta l4proto . th dport vmap @cluster_ports
    fib daddr type local meta l4proto . th dport vmap @node_ports
  }
  chain guard {
    type filter hook prerouting priority raw; policy accept
    iif != "lo" ip daddr 127.0.0.0/8 drop
  }
  chain prerouting {
    type nat hook prerouting priority dstnat - 1; policy accept
    jump lead
  }
  chain output {
    type nat hook output priority -101; policy accept
    jump lead
  }
  chain postrouting {
    type nat hook postrouting priority srcnat - 1; policy accept
    ct status dnat ip saddr 127.0.0.0/8 oif != "lo" masquerade
    ct status dnat ip saddr . ip daddr @hairpins masquerade
  }
  chain refuse {
    meta l4proto tcp reject with tcp reset
    reject
  }
  chain refuse_own {
    type filter hook output priority -150; policy accept
    ip daddr . meta l4proto . th dport @refused goto refuse
  }
  chain refuse_forwarded {
    type filter hook forward priority -150; policy accept
    ip daddr . meta l4proto . th dport @refused goto refuse
  }
`

function renderService({ name, protocol, backends, isSticky }: Forward, index: number): string {
  const choice = isSticky ? 'jhash ip saddr' : 'numgen random'
  const targets = backends.map((backend, at) => `${at} : ${backend.ip} . ${backend.port}`).join(', ')
  return `  chain service_${index} {
    meta l4proto ${protocol} dnat ip to ${choice} mod ${backends.length} map { ${targets} } comment "${name}"
  }
`
}

function addressKey({ clusterIp, protocol, port }: Forward): string {
  return `${clusterIp} . ${protocol} . ${port}`
}

function hairpins(forwards: readonly Forward[]): string[] {
  return [...new Set(forwards.flatMap(({ backends }) => backends.map(({ ip }) => `${ip} . ${ip}`)))]
}

/** nft refuses an empty list. */
function elements(list: readonly string[]): string {
  return list.length > 0 ? `elements = { ${list.join(', ')} }` : ''
}
