import { MAIL_PORTS, PRIVATE_NETWORKS } from '#domain/private-networks'

export interface RulesetSettings {
  table: string
  /** Interfaces of builds and pods are called so, followed by `b` or `p` and a number. */
  linkPrefix: string
  resolvers: readonly string[]
  /** The host's neighbours, denied to builds like private addresses. */
  onLink: readonly string[]
  /** Of all owners' pods. */
  podNetwork: string
}

/**
 * The whole table, https://wiki.nftables.org: replaces an older one of that name in one transaction. TCP is refused by
 * a reset, because the kernel limits the rate of ICMP errors and a client would wait.
 */
export function rulesetText({ table, linkPrefix, resolvers, onLink, podNetwork }: RulesetSettings): string {
  const [build, pod] = [`"${linkPrefix}b*"`, `"${linkPrefix}p*"`]
  const dns = 'ip daddr @resolvers meta l4proto { tcp, udp } th dport 53 accept'
  const fitPackets = 'tcp flags syn tcp option maxseg size set rt mtu'
  return `table inet ${table}
delete table inet ${table}
table inet ${table} {
  set resolvers { ${addresses(resolvers)}; }
  set denied { ${addresses([...PRIVATE_NETWORKS, ...onLink])}; }
  chain refuse {
    meta l4proto tcp reject with tcp reset
    reject with icmpx admin-prohibited
  }
  chain unforged {
    type filter hook prerouting priority raw
    iifname ${build} fib saddr . iif oif missing drop
    iifname ${pod} fib saddr . iif oif missing drop
  }
  chain to_host {
    type filter hook input priority filter - 10
    iifname != ${build} accept
    ct state established,related accept
    ${dns}
    goto refuse
  }
  chain through {
    type filter hook forward priority filter - 10
    oifname ${build} ct state established,related accept
    oifname ${build} goto refuse
    oifname ${pod} ct state established,related accept
    oifname ${pod} iifname != "slip*" ct status dnat accept comment "to a published port"
    oifname ${pod} iifname != "slip*" goto refuse
    iifname ${pod} ${fitPackets}
    iifname != ${build} accept
    ct state invalid drop
    meta nfproto ipv6 goto refuse
    ${dns}
    ip daddr @denied goto refuse
    tcp dport { ${MAIL_PORTS.join(', ')} } goto refuse
    ${fitPackets}
    accept
  }
  chain outwards {
    type nat hook postrouting priority srcnat
    iifname ${build} masquerade
    iifname ${pod} ip daddr != ${podNetwork} masquerade
  }
}
`
}

/** The text that removes the table, whether or not it is there. */
export function removalText(table: string): string {
  return `table inet ${table}\ndelete table inet ${table}\n`
}

/** nft takes no empty list. */
function addresses(values: readonly string[]): string {
  const elements = values.length === 0 ? '' : `; elements = { ${values.join(', ')} }`
  return `type ipv4_addr; flags interval; auto-merge${elements}`
}
