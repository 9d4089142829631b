import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startCluster, type TestCluster } from '../support/cluster.ts'

let cluster: TestCluster
beforeAll(async () => {
  cluster = await startCluster()
  for (const name of ['NS', 'other']) {
    await send('POST', '/api/v1/namespaces', { body: { metadata: { name: name.toLowerCase() } } })
  }
  await send('POST', '/apis/apps/v1/namespaces/ns/deployments', { body: deployment('ok') })
})
afterAll(async () => cluster[Symbol.asyncDispose]())

function recorded<T>(name: string): T[] {
  const url = new URL(`../fixtures/kubernetes/${name}.json`, import.meta.url)
  // Names of namespaces are lower case; the recordings stand for one with NS.
  return JSON.parse(readFileSync(url, 'utf8').replaceAll(/hg6xyf|\bNS(?=b?\b)/g, 'ns')) as T[]
}

const deployment = (name: string) => ({
  metadata: { name },
  spec: {
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'nginx' }] } },
  },
})

interface SendOptions {
  body?: unknown
  ct?: string
  accept?: string
  token?: string
}

async function open(method: string, path: string, options: SendOptions = {}): Promise<IncomingMessage> {
  const { body, ct = 'application/json', accept = 'application/json', token = cluster.token } = options
  const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body)
  const headers = {
    authorization: `Bearer ${token}`,
    accept,
    ...(text ? { 'content-type': ct, 'content-length': Buffer.byteLength(text) } : {}),
  }
  const request = httpsRequest(`${cluster.url}${path}`, { method, headers, ca: cluster.caPem, agent: false })
  request.end(text)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return response
}

interface Reply {
  code: number | undefined
  // biome-ignore format: one line
  body: { message: string; reason?: string; details?: { causes?: { field: string }[] }; items?: { metadata: { name: string } }[]; metadata: Record<string, string>; [key: string]: unknown }
}

async function send(method: string, path: string, options: SendOptions = {}): Promise<Reply> {
  const response = await open(method, path, options)
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return { code: response.statusCode, body: JSON.parse(Buffer.concat(chunks).toString()) as Reply['body'] }
}

describe('errors as Kubernetes words them', () => {
  interface Case {
    what: string
    method: string
    path: string
    body?: unknown
    ct?: string
    res: { code: number; body: Reply['body'] }
  }
  /** Where our words, or those of a later release than the recorded one, are others. */
  const OTHER_WORDS = new Set([
    'invalid json',
    'wrong kind',
    'wrong type in field',
    'jsonpatch missing path',
    'service port dup',
    'service clusterIP out of range',
  ])
  /** A watch's error is inside its stream; JSON is all we answer with. */
  const ELSEWHERE = new Set(['watch old rv', '406'])
  const cases = recorded<Case>('http_errors').filter(({ what, res }) => !ELSEWHERE.has(what) && res.code >= 400)
  test.for(cases.map((each, index) => ({ ...each, index })))(
    '$index $what',
    async ({ method, path, res, what, ...sent }) => {
      const reply = await send(method, path, sent)
      expect(reply.code).toBe(res.code)
      expect(reply.body.reason).toBe(res.body.reason)
      expect(reply.body.details?.causes?.map(({ field }) => field)).toEqual(
        res.body.details?.causes?.map(({ field }) => field),
      )
      const isLater = what === 'invalid pod' && res.body.message.includes('cpu limit')
      if (!OTHER_WORDS.has(what) && !isLater) {
        expect(reply.body.message).toBe(res.body.message)
        expect(reply.body.details).toEqual(res.body.details)
      }
    },
  )
})

describe('defaults', () => {
  interface Case {
    in: { kind: string; apiVersion: string; metadata: { name: string } }
    out: { metadata: object; spec: Record<string, unknown>; status: unknown }
  }
  const PLURALS: Record<string, string> = {
    Deployment: '/apis/apps/v1/namespaces/other/deployments',
    ReplicaSet: '/apis/apps/v1/namespaces/other/replicasets',
    Pod: '/api/v1/namespaces/other/pods',
    Service: '/api/v1/namespaces/other/services',
  }
  const cases = recorded<Case>('http_defaults').filter((each) => PLURALS[each.in.kind])
  test.for(cases.map((each) => ({ ...each, kind: each.in.kind, name: each.in.metadata.name })))(
    '$kind $name',
    async (each) => {
      const { code, body } = await send('POST', PLURALS[each.kind] ?? '', { body: each.in })
      expect(code).toBe(201)
      const { clusterIP: _ip, clusterIPs: _ips, ports, ...spec } = each.out.spec
      expect(body).toMatchObject({ spec, status: each.out.status })
      for (const [index, port] of ((ports ?? []) as { nodePort?: number }[]).entries()) {
        const { nodePort: _port, ...rest } = port
        expect((body as unknown as { spec: { ports: object[] } }).spec.ports[index]).toMatchObject(rest)
      }
    },
  )
})

describe('STATUS column of pods', () => {
  interface Case {
    what: string
    initContainers: number
    containers: number
    status: object
    cells: [string, string, string, number]
  }
  const cases = recorded<Case>('http_pod_status_column').map((each, index) => ({ ...each, index }))
  test.for(cases)('$index $what', async ({ initContainers, containers, status, cells, index }) => {
    const list = (count: number, names: string[]) =>
      Array.from({ length: count }, (_, at) => ({ name: names[at] ?? `${names[0]}${at}`, image: 'x' }))
    const name = `row-${index}`
    const pods = '/api/v1/namespaces/other/pods'
    const spec = { schedulerName: 'none', nodeName: 'elsewhere', containers: list(containers, ['a', 'b', 'c']) }
    const inits = initContainers > 0 ? { initContainers: list(initContainers, ['i', 'j']) } : {}
    cluster.nodes.ignores.add(name)
    await send('POST', pods, { body: { metadata: { name }, spec: { ...spec, ...inits } } })
    await send('PATCH', `${pods}/${name}/status`, { body: { status }, ct: 'application/merge-patch+json' })
    const { body } = await send('GET', `${pods}/${name}`, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' })
    const [row] = body['rows'] as { cells: string[] }[]
    expect(row?.cells.slice(1, 3)).toEqual(cells.slice(1, 3))
    expect(Number.parseInt(row?.cells[3] ?? '', 10)).toBe(cells[3])
  })
})

interface WatchEvent {
  type: string
  object: {
    metadata: { name: string; resourceVersion: string; labels?: Record<string, string>; annotations?: object }
    code?: number
    message?: string
    columnDefinitions?: unknown[] | null
    rows?: unknown[]
  }
}

/** Reads the events of a watch one by one. */
async function watch(query: string, accept?: string) {
  const path = `/api/v1/namespaces/watched/configmaps?watch=true&${query}`
  const response = await open('GET', path, accept ? { accept } : {})
  const lines = createInterface({ input: response })[Symbol.asyncIterator]()
  return {
    next: async () => {
      const { value, done } = await lines.next()
      return done ? null : (JSON.parse(value) as WatchEvent)
    },
    [Symbol.dispose]: () => response.destroy(),
  }
}

describe('watches', () => {
  const maps = '/api/v1/namespaces/watched/configmaps'
  const merge = (name: string, body: object) =>
    send('PATCH', `${maps}/${name}`, { body, ct: 'application/merge-patch+json' })
  beforeAll(async () => {
    await send('POST', '/api/v1/namespaces', { body: { metadata: { name: 'watched' } } })
    await send('POST', maps, { body: { metadata: { name: 'a', labels: { k: '1' } }, data: { x: '1' } } })
    await send('POST', maps, { body: { metadata: { name: 'b' } } })
  })

  test('what enters and leaves a selection is added and deleted, with the state before', async () => {
    using selected = await watch('labelSelector=k%3D1')
    expect(await selected.next()).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'a' } } })
    await merge('a', { metadata: { labels: { k: '2' } } })
    const left = await selected.next()
    expect(left).toMatchObject({ type: 'DELETED', object: { metadata: { name: 'a', labels: { k: '1' } } } })
    await merge('b', { metadata: { labels: { k: '1' } } })
    expect(await selected.next()).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'b' } } })
    await merge('b', { data: { x: '5' } })
    const changed = await selected.next()
    expect(changed).toMatchObject({ type: 'MODIFIED', object: { metadata: { name: 'b' } } })
    expect(Number(changed?.object.metadata.resourceVersion)).toBeGreaterThan(
      Number(left?.object.metadata.resourceVersion),
    )
  })

  test('a version is where it goes on; a change of nothing tells nothing', async () => {
    const { body } = await send('GET', maps)
    using since = await watch(`resourceVersion=${body.metadata['resourceVersion']}&fieldSelector=metadata.name%3Da`)
    await merge('a', { data: { x: '1' } })
    await merge('a', { data: { x: '2' } })
    expect(await since.next()).toMatchObject({ type: 'MODIFIED', object: { data: { x: '2' } } })
  })

  test('a version that is no longer kept is an error in the stream', async () => {
    // Kept are the last 4000 changes; one more than the slack on top makes the first ones go.
    const ref = { kind: 'ConfigMap' as const, namespace: 'watched', name: 'b' }
    for (let n = 0; n < 5200; n++) {
      await cluster.objects.update(ref, (draft) => ({ ...draft, data: { n: String(n) } }))
    }
    using old = await watch('resourceVersion=1')
    const event = await old.next()
    expect(event).toMatchObject({ type: 'ERROR', object: { code: 410, reason: 'Expired' } })
    expect(event?.object.message).toMatch(/^too old resource version: 1 \(\d+\)$/)
    expect(await old.next()).toBeNull()
  })

  test('initial events end with a marked bookmark, where asked for', async () => {
    using list = await watch('sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan')
    const seen: WatchEvent[] = []
    for (let event = await list.next(); event; event = await list.next()) {
      seen.push(event)
      if (event.type === 'BOOKMARK') break
    }
    expect(seen.slice(0, -1).map(({ type }) => type)).toEqual(seen.slice(0, -1).map(() => 'ADDED'))
    expect(seen.at(-1)?.object.metadata.annotations).toEqual({ 'k8s.io/initial-events-end': 'true' })
  })

  test('tables describe their columns once, and a timeout ends the watch', async () => {
    using rows = await watch('timeoutSeconds=1', 'application/json;as=Table;v=v1;g=meta.k8s.io')
    const first = await rows.next()
    expect(first?.object.columnDefinitions).toHaveLength(3)
    expect(first?.object.rows).toHaveLength(1)
    const second = await rows.next()
    expect(second?.object.columnDefinitions).toBeNull()
    while (await rows.next());
  })
})

test('without the token there is nothing but health and version', async () => {
  const refused = await send('GET', '/api/v1/pods', { token: 'wrong' })
  expect([refused.code, refused.body.reason, refused.body['kind']]).toEqual([401, 'Unauthorized', 'Status'])
  const version = await send('GET', '/version', { token: '' })
  expect([version.code, version.body['gitVersion']]).toEqual([200, 'v1.33.0'])
})

test('long lists come in pages', async () => {
  for (const name of ['p1', 'p2', 'p3']) {
    await send('POST', '/api/v1/namespaces/other/configmaps', { body: { metadata: { name } } })
  }
  const first = await send('GET', '/api/v1/namespaces/other/configmaps?limit=2')
  expect(first.body.items?.map(({ metadata }) => metadata.name)).toEqual(['p1', 'p2'])
  expect(first.body.metadata['remainingItemCount']).toBe(1)
  const next = encodeURIComponent(first.body.metadata['continue'] ?? '')
  const second = await send('GET', `/api/v1/namespaces/other/configmaps?limit=2&continue=${next}`)
  expect(second.body.items?.map(({ metadata }) => metadata.name)).toEqual(['p3'])
  expect(second.body.metadata['continue']).toBeUndefined()
})
