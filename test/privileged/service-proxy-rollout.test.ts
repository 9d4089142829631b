import { once } from 'node:events'
import { get } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { run } from '#host/exec'
import { isReady, podOf, serviceOf, startNode, type TestNode, tableOf, tracesOf } from './cluster-node.ts'

const OWNER = 'test-proxy'
const NODE_PORT = 31_877
const CLUSTER_IP = '10.96.77.7'
let node: TestNode
const podIps = new Set<string>()
beforeAll(async () => {
  node = await startNode(OWNER)
  await node.objects.create(
    serviceOf('web', {
      type: 'NodePort',
      selector: { app: 'web' },
      clusterIP: CLUSTER_IP,
      ports: [{ port: 80, targetPort: 'http', nodePort: NODE_PORT }],
    }),
  )
})
afterAll(async () => {
  await node?.[Symbol.asyncDispose]()
})

/** A web server that answers in 50 ms with its pod's name, and dies at once when it is told to stop. */
async function startWeb(name: string): Promise<void> {
  const container = {
    image: node.image,
    command: ['sh', '-c', "trap 'exit 0' TERM; httpd -f -p 8080 -h /www & wait"],
    ports: [{ name: 'http', containerPort: 8080 }],
    readinessProbe: { httpGet: { path: '/', port: 'http' } },
  }
  await node.objects.create(podOf(name, container, { labels: { app: 'web' }, terminationGracePeriodSeconds: 10 }))
  const { status } = await node.untilPod(name, isReady)
  podIps.add(status?.podIP ?? '')
}

async function stopWeb(name: string): Promise<void> {
  await node.objects.delete({ kind: 'Pod', namespace: 'default', name })
  await node.untilGone(name)
}

/** One request on a connection of its own. */
async function ask(host: string, port: number, path = '/cgi-bin/who'): Promise<string> {
  const request = get({ host, port, path, agent: false, headers: { connection: 'close' }, timeout: 5000 })
  request.on('timeout', () => request.destroy(new Error('timed out')))
  const [response] = await once(request, 'response')
  const body = await text(response)
  if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}: ${body}`)
  return body.trim()
}

/** Asks without a pause, by several clients at once, until told to stop. */
function keepAsking(clients: number, host: string, port: number) {
  const seen = new Map<string, number>()
  const failures: string[] = []
  const over = new AbortController()
  const one = async () => {
    while (!over.signal.aborted)
      try {
        const name = await ask(host, port)
        seen.set(name, (seen.get(name) ?? 0) + 1)
      } catch (error) {
        failures.push(String(error))
      }
  }
  const all = Array.from({ length: clients }, one)
  return async () => {
    over.abort()
    await Promise.all(all)
    return { seen, failures, count: [...seen.values()].reduce((sum, n) => sum + n, 0) }
  }
}

describe('connections to a Service', () => {
  test('are refused at once while there is no pod', async () => {
    const codeOf = () => ask(CLUSTER_IP, 80).then(String, (error: { code?: string }) => error.code)
    await expect.poll(codeOf).toBe('ECONNREFUSED')
    const askedAtMs = Date.now()
    await expect(ask(CLUSTER_IP, 80)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await expect(ask('127.0.0.1', NODE_PORT)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(Date.now() - askedAtMs).toBeLessThan(500)
  })

  test('reach its pods by the cluster’s address, the node’s port, and from pods themselves', async () => {
    await startWeb('a')
    await expect.poll(() => ask(CLUSTER_IP, 80).catch(String)).toBe('a')
    expect(await ask('127.0.0.1', NODE_PORT)).toBe('a')
    const { stdout } = await run('ip', ['-j', '-4', 'addr', 'show', 'up', 'scope', 'global'])
    const [outward] = (JSON.parse(stdout.toString()) as { addr_info: { local: string }[] }[]).filter(
      (link) => link.addr_info,
    )
    if (outward?.addr_info[0]) expect(await ask(outward.addr_info[0].local, NODE_PORT)).toBe('a')
    const self = `wget -qO- http://${CLUSTER_IP}/cgi-bin/who`
    await node.objects.create(
      podOf('caller', { image: node.image, command: ['sh', '-c', self] }, { restartPolicy: 'Never' }),
    )
    await node.untilPod('caller', ({ status }) => status?.phase === 'Succeeded')
    expect(await node.logOf('caller')).toBe('a\n')
    await stopWeb('caller')
  })

  test('come from other machines, with the address they have', async () => {
    const inside = (...words: string[]) => run('ip', ['netns', 'exec', 'slip-outside', ...words])
    await run('ip', ['netns', 'add', 'slip-outside'])
    try {
      await run('ip', ['link', 'add', 'outslip0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', 'slip-outside'])
      await run('ip', ['addr', 'add', '198.51.100.1/30', 'dev', 'outslip0'])
      await run('ip', ['link', 'set', 'outslip0', 'up'])
      await inside('ip', 'addr', 'add', '198.51.100.2/30', 'dev', 'eth0')
      await inside('ip', 'link', 'set', 'eth0', 'up')
      const url = `http://198.51.100.1:${NODE_PORT}/cgi-bin/peer`
      const script = `process.stdout.write(await (await fetch('${url}', { signal: AbortSignal.timeout(5000) })).text())`
      const { stdout } = await inside(process.execPath, '--input-type=module', '-e', script)
      expect(stdout.toString()).toContain('198.51.100.2')
    } finally {
      await run('ip', ['netns', 'del', 'slip-outside'])
    }
  })

  test('reach the very pod that calls', async () => {
    const script = `httpd -p 8080 -h /www; until wget -qO- http://${CLUSTER_IP}/cgi-bin/who; do sleep 0.1; done; sleep 60`
    const container = {
      image: node.image,
      command: ['sh', '-c', script],
      ports: [{ name: 'http', containerPort: 8080 }],
    }
    await stopWeb('a')
    await node.objects.create(podOf('self', container, { labels: { app: 'web' }, terminationGracePeriodSeconds: 1 }))
    await expect.poll(() => node.logOf('self').catch(() => ''), { timeout: 8000 }).toContain('self\n')
    await stopWeb('self')
  })

  test('are never lost while pods come and go', async () => {
    await startWeb('r0')
    await expect.poll(() => ask('127.0.0.1', NODE_PORT).catch(String)).toBe('r0')
    const rounds = 6
    const stop = keepAsking(8, '127.0.0.1', NODE_PORT)
    for (let round = 1; round <= rounds; round++) {
      await startWeb(`r${round}`)
      await stopWeb(`r${round - 1}`)
    }
    const { seen, failures, count } = await stop()
    expect(failures).toEqual([])
    expect(count).toBeGreaterThan(100)
    expect([...seen.keys()].sort()).toEqual(Array.from({ length: rounds + 1 }, (_, n) => `r${n}`))
    await stopWeb(`r${rounds}`)
  })

  test('do not hold a pod up while they are idle', async () => {
    await startWeb('idle')
    await expect.poll(() => ask('127.0.0.1', NODE_PORT).catch(String)).toBe('idle')
    const socket = connect(NODE_PORT, '127.0.0.1').on('error', () => {})
    await once(socket, 'connect')
    const askedAtMs = Date.now()
    await stopWeb('idle')
    expect(Date.now() - askedAtMs).toBeLessThan(3000)
    socket.destroy()
  })

  test('are not caught by the rules of a cluster that died', async () => {
    const dead = 'slip_services_dead'
    const rules = `table ip ${dead} { chain c { type nat hook output priority -110; tcp dport ${NODE_PORT} dnat to 192.0.2.9:9; }; }`
    await run('nft', ['-f', '-'], { input: rules })
    await node.restart()
    const { stdout } = await run('nft', ['list', 'tables', 'ip'])
    expect(stdout.toString()).not.toContain(dead)
    expect(stdout.toString()).toContain(tableOf(node.dataDir))
  })

  test('leave nothing behind', async () => {
    await node.objects.delete({ kind: 'Service', namespace: 'default', name: 'web' })
    await expect
      .poll(async () => (await run('nft', ['list', 'table', 'ip', tableOf(node.dataDir)])).stdout.toString())
      .not.toContain(CLUSTER_IP)
    await node[Symbol.asyncDispose]()
    expect(await tracesOf(node.dataDir, OWNER, [...podIps])).toMatchObject({
      mounts: [],
      podAddresses: [],
      cgroups: [],
      tables: [],
    })
  })
})
