import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from '#host/exec'
import { createLogger } from '#host/log'
import { openSandbox, type Sandbox } from '#sandbox'
import { commitBusybox, hostTraces, makeDataDir, never, noTraces, runOn, specOf, textOf } from './busybox.ts'

const MIRROR = 'deb.debian.org'
const data = makeDataDir()
let sandbox: Sandbox
let base = ''

beforeAll(async () => {
  sandbox = await openSandbox(
    { dataDir: data.path, owner: 'test-networks', warmNetworks: 1 },
    createLogger('test', 'warn'),
  )
  base = await commitBusybox(sandbox)
})
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]()
  await data[Symbol.asyncDispose]()
})

const hostAddress = () =>
  Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ internal, family, address }) => !internal && family === 'IPv4' && !address.startsWith('169.254.'))
    ?.address ?? ''

/** A listener of the host that answers every connection with a word. */
async function listen() {
  const server = createServer((socket) => socket.end('from the host\n')).listen(0, '0.0.0.0')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { port, [Symbol.asyncDispose]: async () => void server.close() }
}

test('a build resolves names and reaches the internet', async () => {
  const { address } = await lookup(MIRROR, { family: 4 })
  const request = `HEAD /debian/dists/stable/InRelease HTTP/1.1\\r\\nHost: ${MIRROR}\\r\\nConnection: close\\r\\n\\r\\n`
  await using network = await sandbox.networks.acquireEgress(never)
  const { stdout, stderr } = await runOn(
    sandbox,
    base,
    `nslookup ${MIRROR}; nc -w 10 ${address} 80 -e sh -c 'printf "${request}"; head -n 1 >&2'`,
    { network },
  )
  expect(stdout).toContain(`Address: ${address}`)
  // Its own half of the connection stays open, or some servers do not answer.
  expect(stderr).toMatch(/^HTTP\/1.1 [23]\d\d /)
})

test('a build reaches neither the host nor private addresses, and is told so at once', async () => {
  await using listener = await listen()
  await using network = await sandbox.networks.acquireEgress(never)
  await using pod = await sandbox.networks.createPod(never)
  await using other = await sandbox.networks.acquireEgress(never)
  const resolver = /^nameserver (\d\S+)/m.exec(readFileSync('/etc/resolv.conf', 'utf8'))?.[1] ?? ''
  const places = [
    hostAddress(),
    '169.254.1.1',
    '127.0.0.1',
    '169.254.169.254',
    '192.168.1.1',
    '10.0.0.1',
    pod.address,
    other.address,
    resolver,
  ]
  const script = places
    .map((place) => `nc -w 3 ${place} ${listener.port} </dev/null && echo reached ${place}`)
    .join('; ')
  const startedAt = performance.now()
  const { stdout } = await runOn(sandbox, base, script, { network })
  expect(stdout).toBe('')
  expect(performance.now() - startedAt).toBeLessThan(3_000)
})

test('a network is used again, one that a privileged container had is not', async () => {
  const used = await sandbox.networks.acquireEgress(never)
  await used[Symbol.asyncDispose]()
  await used[Symbol.asyncDispose]()
  const again = await sandbox.networks.acquireEgress(never)
  expect(again.path).toBe(used.path)
  const { stdout } = await runOn(sandbox, base, 'ip addr add 10.9.9.9/32 dev eth0 && echo changed', {
    network: again,
    security: 'privileged',
  })
  expect(stdout).toBe('changed\n')
  await again[Symbol.asyncDispose]()
  await using fresh = await sandbox.networks.acquireEgress(never)
  const seen = await runOn(sandbox, base, 'ip addr', { network: fresh })
  expect(seen.stdout).toContain(fresh.address ?? 'none')
  expect(seen.stdout).not.toContain('10.9.9.9')
})

test('networks that are put off are made once they are asked for, and kept', async () => {
  await using later = makeDataDir()
  const options = { dataDir: later.path, owner: 'test-later', warmNetworks: 1, warmsLater: true }
  await using another = await openSandbox(options, createLogger('test', 'warn'))
  const linksOf = () => hostTraces(later.path, 'test-later').links.length
  expect(linksOf()).toBe(0)
  another.networks.warmUp()
  const first = await another.networks.acquireEgress(never)
  expect(linksOf()).toBe(1)
  await first[Symbol.asyncDispose]()
  await using second = await another.networks.acquireEgress(never)
  expect(second.address).toBe(first.address)
})

test('a pod is reached from the host and from other pods, and reaches out', async () => {
  await using listener = await listen()
  await using network = await sandbox.networks.createPod(never)
  await using neighbour = await sandbox.networks.createPod(never)
  await using snapshot = await sandbox.snapshots.prepare(base)
  const script = 'echo up; while :; do echo from the pod | nc -l -p 80; done'
  await using container = await sandbox.containers.start(specOf(await snapshot.mount(), script, { network }), never)
  await once(container.stdout, 'data')
  const reached = await run('nc', ['-w', '3', network.address ?? '', '80'], { input: '' }).catch(() =>
    run('busybox', ['nc', '-w', '3', network.address ?? '', '80'], { input: '' }),
  )
  expect(reached.stdout.toString()).toBe('from the pod\n')
  const inside = await runOn(
    sandbox,
    base,
    `nc -w 3 ${network.address} 80 </dev/null; nc -w 3 ${hostAddress()} ${listener.port} </dev/null; nslookup ${MIRROR}`,
    { network: neighbour },
  )
  expect(inside.stdout).toContain('from the pod\nfrom the host\n')
  expect(inside.stdout).toMatch(/Name:\s+deb.debian.org/)
})

test('a container without a network has only its loopback', async () => {
  const { stdout } = await runOn(
    sandbox,
    base,
    'ip addr; nc -l -p 99 -e echo hi & sleep 0.2; nc 127.0.0.1 99 </dev/null',
  )
  expect(stdout).toMatch(/LOOPBACK,UP/)
  expect(stdout).not.toMatch(/eth0/)
  expect(stdout).toMatch(/hi\n$/)
})

test('disposing removes all of it', async () => {
  const owned = await openSandbox(
    { dataDir: data.path, owner: 'test-gone', warmNetworks: 3 },
    createLogger('test', 'warn'),
  )
  const taken = await owned.networks.createPod(never)
  const before = hostTraces(data.path, 'test-gone', 'test-networks')
  expect(before.links.length).toBeGreaterThan(0)
  await owned[Symbol.asyncDispose]()
  await taken[Symbol.asyncDispose]()
  await sandbox[Symbol.asyncDispose]()
  const after = hostTraces(data.path, 'test-gone', 'test-networks')
  expect(after).toEqual(noTraces)
})

test('output of a container goes on after its network was given back', async () => {
  await using again = await openSandbox(
    { dataDir: data.path, owner: 'test-networks', warmNetworks: 0 },
    createLogger('test', 'warn'),
  )
  const network = await again.networks.acquireEgress(never)
  await using snapshot = await again.snapshots.prepare(base)
  await using container = await again.containers.start(
    specOf(await snapshot.mount(), 'sleep 0.2; echo still here', { network }),
    never,
  )
  await network[Symbol.asyncDispose]()
  expect(await textOf(container.stdout)).toBe('still here\n')
})
