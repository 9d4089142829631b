import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { run } from '#host/exec'
import { bytePath, type Sys, SysError } from '#host/sys'
import type { Scope } from '../scope.ts'
import type { AddressBlock, NetworkKind } from './addresses.ts'
import { removeLinks } from './leftovers.ts'

/** Every host-side end has this address: a point-to-point link needs no subnet, and no bridge joins the namespaces. */
const GATEWAY = '169.254.1.1'

/** A pinned network namespace with one interface, `eth0`, that the host routes for. */
export interface PinnedNamespace {
  readonly kind: NetworkKind
  readonly index: number
  readonly path: string
  readonly address: string
  /** Of the host-side end. */
  readonly link: string
}

export interface NamespaceSettings {
  scope: Scope
  addresses: AddressBlock
  mtu: number
  sys: Sys
}

export async function createNamespace(settings: NamespaceSettings, kind: NetworkKind): Promise<PinnedNamespace> {
  const { scope, addresses } = settings
  const { address, index } = addresses.take(kind)
  const name = `${kind === 'build' ? 'b' : 'p'}${index.toString(36)}`
  const namespace = { kind, index, address, link: scope.linkPrefix + name, path: join(scope.runDir, 'networks', name) }
  try {
    await mkdir(dirname(namespace.path), { recursive: true, mode: 0o700 })
    await writeFile(namespace.path, '')
    await run('unshare', [`--net=${namespace.path}`, '--', 'true'])
    await connect(namespace, settings.mtu)
    return namespace
  } catch (error) {
    await removeNamespaces(settings, [namespace])
    throw error
  }
}

/** Adds the pair of interfaces, addresses and routes with as few processes as can be. */
async function connect({ link, path, address }: PinnedNamespace, mtu: number): Promise<void> {
  const outside = [
    `link add name ${link} mtu ${mtu} type veth peer name eth0 mtu ${mtu} netns ${path}`,
    `link set dev ${link} addrgenmode none`,
    `addr add ${GATEWAY}/32 dev ${link}`,
    `link set dev ${link} up`,
    // A dead owner of another data directory may have left one.
    `route replace ${address}/32 dev ${link}`,
  ]
  const inside = [
    'link set dev lo up',
    // No IPv6 but the loopback's: a link-local address would only make programs wait for nothing.
    'link set dev eth0 addrgenmode none',
    `addr add ${address}/32 dev eth0`,
    'link set dev eth0 up',
    `route add ${GATEWAY}/32 dev eth0 scope link`,
    `route add default via ${GATEWAY} dev eth0`,
  ]
  await run('ip', ['-batch', '-'], { input: `${outside.join('\n')}\n` })
  await run('nsenter', [`--net=${path}`, '--', 'ip', '-batch', '-'], { input: `${inside.join('\n')}\n` })
}

export async function removeNamespaces(
  { addresses, sys }: NamespaceSettings,
  namespaces: readonly PinnedNamespace[],
): Promise<void> {
  // Removing one end removes the other at once, where a namespace takes its time to go.
  await removeLinks(namespaces.map(({ link }) => link))
  for (const { kind, index, path } of namespaces) {
    unpin(sys, path)
    await rm(path, { force: true })
    addresses.release(kind, index)
  }
}

function unpin(sys: Sys, path: string): void {
  try {
    sys.unmount(bytePath(path), { detach: true })
  } catch (error) {
    // Never pinned: its making failed before.
    if (!(error instanceof SysError) || !['EINVAL', 'ENOENT'].includes(error.code)) throw error
  }
}
