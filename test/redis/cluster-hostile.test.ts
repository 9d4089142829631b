import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startCluster, type TestCluster } from '../support/cluster.ts'

let cluster: TestCluster
beforeAll(async () => {
  cluster = await startCluster()
})
afterAll(async () => cluster[Symbol.asyncDispose]())

const maps = '/api/v1/namespaces/default/configmaps'

async function send(method: string, path: string, text = '', type = 'application/json') {
  const headers = { authorization: `Bearer ${cluster.token}`, 'content-type': type }
  const request = httpsRequest(`${cluster.url}${path}`, { method, headers, ca: cluster.caPem, agent: false })
  // A server that refuses to read on may cut the rest off.
  request.on('error', () => {})
  request.end(text)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const body = JSON.parse(Buffer.concat(chunks).toString()) as {
    kind: string
    reason?: string
    message: string
    details?: { causes?: { field: string }[] }
  }
  return { code: response.statusCode, body }
}

const deep = (count: number, open: string, close: string) => `${open.repeat(count)}1${close.repeat(count)}`
const withData = (value: string) => `{"metadata":{"name":"m"},"data":${value}}`
const managed = (value: string) =>
  `{"metadata":{"name":"m","managedFields":[{"manager":"x","operation":"Update","fieldsV1":${value}}]}}`

interface Attack {
  what: string
  method?: string
  path?: string
  body?: string
  type?: string
  code: number
  field?: string
}

test.for<Attack>([
  { what: 'ten megabytes', body: withData(`{"a":"${'x'.repeat(10 * 1024 * 1024)}"}`), code: 413 },
  { what: 'deep objects', body: withData(deep(100_000, '{"a":', '}')), code: 400 },
  { what: 'deep lists', body: withData(deep(100_000, '[', ']')), code: 400 },
  { what: 'depth in a field without a type', body: managed(deep(20_000, '{"f:a":', '}')), code: 400 },
  { what: 'deep YAML', body: `a: ${deep(20_000, '[', ']')}`, type: 'application/yaml', code: 400 },
  {
    what: 'aliases of aliases in YAML',
    body: ['a0: &a0 [x, x]', ...Array.from({ length: 30 }, (_, n) => `a${n + 1}: &a${n + 1} [*a${n}, *a${n}]`)].join(
      '\n',
    ),
    type: 'application/yaml',
    code: 400,
  },
  { what: 'a name with a slash', body: '{"metadata":{"name":"a/b"}}', code: 422, field: 'metadata.name' },
  { what: 'a name that climbs', body: '{"metadata":{"name":"../../etc"}}', code: 422, field: 'metadata.name' },
  { what: 'a key that climbs', body: withData('{"../x":"1"}'), code: 422, field: 'data[../x]' },
  { what: 'a list as the object', body: '[1]', code: 400 },
  { what: 'null as the object', body: 'null', code: 400 },
  { what: 'a path that is badly encoded', method: 'GET', path: `${maps}/%E0%A4%A`, code: 400 },
  { what: 'a slash in a path', method: 'GET', path: `${maps}/a%2Fb`, code: 404 },
  {
    what: 'half a patch',
    method: 'PATCH',
    path: `${maps}/m`,
    body: '[{"op":',
    type: 'application/json-patch+json',
    code: 400,
  },
  {
    what: 'a protocol buffer that is none',
    body: 'k8s\0\xff\xff\xff\xff',
    type: 'application/vnd.kubernetes.protobuf',
    code: 415,
  },
])('$what', async ({ method = 'POST', path = maps, body = '', type = 'application/json', code, field }) => {
  const reply = await send(method, path, body, type)
  expect([reply.code, reply.body.kind]).toEqual([code, 'Status'])
  if (field) expect(reply.body.details?.causes?.map((cause) => cause.field)).toEqual([field])
  const healthy = await send('GET', maps)
  expect(healthy.code).toBe(200)
})

test('a request that is too large says how large one may be', async () => {
  const { body } = await send('POST', maps, withData(`{"a":"${'x'.repeat(4 * 1024 * 1024)}"}`))
  expect([body.reason, body.message]).toEqual(['RequestEntityTooLarge', 'Request entity too large: limit is 3145728'])
})
