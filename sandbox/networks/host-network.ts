import { readFile, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { run } from '#host/exec'
import type { Logger } from '#host/log'
import { parseSubnet, type Subnet } from './addresses.ts'

const Route = z.object({
  dst: z.string(),
  dev: z.string().optional(),
  gateway: z.string().optional(),
  scope: z.string().optional(),
})

export interface HostNetwork {
  /** Where the host's own IPv4 routes lead, without ours and without the default. */
  readonly routes: readonly Subnet[]
  /** Subnets of the host's neighbours. */
  readonly onLink: readonly string[]
  /** Largest packet of the way out, in bytes. */
  readonly mtu: number
}

export async function readHostNetwork(): Promise<HostNetwork> {
  const { stdout } = await run('ip', ['-j', '-4', 'route', 'show', 'table', 'main'])
  const all = z.array(Route).parse(JSON.parse(stdout.toString() || '[]'))
  const routes = all.filter(({ dst, dev }) => dst !== 'default' && !dev?.startsWith('slip'))
  const uplink = all.find(({ dst }) => dst === 'default')?.dev
  const mtu = uplink === undefined ? 1500 : Number(await readFile(`/sys/class/net/${uplink}/mtu`, 'utf8'))
  return {
    routes: routes.map(({ dst }) => parseSubnet(dst)),
    onLink: routes.filter(({ gateway, scope }) => gateway === undefined && scope === 'link').map(({ dst }) => dst),
    mtu,
  }
}

/** Makes the host a router, which containers need to reach anything. It stays one: others may rely on it by then. */
export async function enableForwarding(log: Logger): Promise<void> {
  const file = '/proc/sys/net/ipv4/ip_forward'
  if ((await readFile(file, 'utf8')).trim() !== '0') return
  await writeFile(file, '1')
  log.info({ sysctl: 'net.ipv4.ip_forward' }, 'enabled forwarding for containers')
}

const Ruleset = z.object({
  nftables: z.array(
    z.object({
      chain: z
        .object({ table: z.string(), name: z.string(), hook: z.string().optional(), policy: z.string().optional() })
        .optional(),
    }),
  ),
})

/** An accept of ours is not final: another table that drops forwarded packets by default still drops them. */
export async function warnOfForeignDrops(log: Logger): Promise<void> {
  const { stdout } = await run('nft', ['-j', 'list', 'chains'])
  const chains = Ruleset.parse(JSON.parse(stdout.toString())).nftables.flatMap(({ chain }) => (chain ? [chain] : []))
  for (const { table, name, hook, policy } of chains) {
    if (hook !== 'forward' || policy !== 'drop' || table.startsWith('slip_')) continue
    log.warn(
      { table, chain: name },
      'this chain drops forwarded packets by default, so containers may have no network: accept interfaces slip+ there ' +
        '(with Docker: iptables -I DOCKER-USER -i slip+ -j ACCEPT; iptables -I DOCKER-USER -o slip+ -j ACCEPT)',
    )
  }
}
