import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startCluster, type TestCluster } from '../support/cluster.ts'

/** Server-side apply as a real API server did it, step by step: values, whose fields are whose, and conflicts. */
let cluster: TestCluster
beforeAll(async () => {
  cluster = await startCluster()
})
afterAll(async () => cluster[Symbol.asyncDispose]())

interface ManagedFields {
  manager: string
  operation: string
  apiVersion?: string
  fieldsV1: object
}
interface Step {
  op: 'apply' | 'merge' | 'scale'
  manager: string
  force: boolean
  body: unknown
  code: number
  result: {
    labels?: object
    spec?: { replicas: number; containers: object[] }
    managedFields?: ManagedFields[]
    status?: { code: number; reason: string; message: string; causes: object[] }
  }
}
interface Reply {
  code: number | undefined
  body: {
    metadata: { labels?: object; managedFields?: ManagedFields[]; resourceVersion?: string; uid?: string }
    spec: { replicas: number; template: { spec: { containers: Record<string, unknown>[] } } }
    message?: string
    reason?: string
    details?: { causes?: object[] }
  }
}

const deployments = (namespace: string) => `/apis/apps/v1/namespaces/${namespace}/deployments`

async function send(method: string, path: string, body?: unknown, type = 'application/json'): Promise<Reply> {
  const text = body === undefined ? '' : JSON.stringify(body)
  const headers = { authorization: `Bearer ${cluster.token}`, ...(text ? { 'content-type': type } : {}) }
  const request = httpsRequest(`${cluster.url}${path}`, { method, headers, ca: cluster.caPem, agent: false })
  request.end(text)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return { code: response.statusCode, body: JSON.parse(Buffer.concat(chunks).toString()) }
}

const apply = (path: string, manager: string, body: unknown, force = false) =>
  send('PATCH', `${path}?fieldManager=${manager}&force=${force}`, body, 'application/apply-patch+yaml')

async function run({ op, manager, force, body }: Step, path: string): Promise<Reply> {
  if (op === 'apply') return await apply(path, manager, body, force)
  if (op === 'merge')
    return await send('PATCH', `${path}?fieldManager=${manager}`, body, 'application/merge-patch+json')
  const scaled = { spec: { replicas: body } }
  await send('PATCH', `${path}/scale?fieldManager=${manager}`, scaled, 'application/merge-patch+json')
  return await send('GET', path)
}

const url = new URL('../fixtures/kubernetes/http_server_side_apply.json', import.meta.url)
const sequences = Object.entries(JSON.parse(readFileSync(url, 'utf8')) as Record<string, Step[]>)

test.for(sequences)('recorded: %s', async ([name, steps]) => {
  await send('POST', '/api/v1/namespaces', { metadata: { name } })
  const path = `${deployments(name)}/d`
  for (const step of steps) {
    const { code, body } = await run(step, path)
    expect(code).toBe(step.code)
    const { status, labels, spec, managedFields } = step.result
    if (status) {
      expect(body).toMatchObject({ reason: status.reason, message: status.message })
      expect(body.details?.causes).toEqual(status.causes)
      continue
    }
    expect(body.metadata.labels).toEqual(labels)
    const containers = body.spec.template.spec.containers.map(({ name, image, env, resources }) => ({
      name,
      image,
      ...(env ? { env } : {}),
      resources,
    }))
    expect({ replicas: body.spec.replicas, containers }).toEqual(spec)
    const fields = body.metadata.managedFields?.map(({ manager, operation, fieldsV1 }) => ({
      manager,
      operation,
      fieldsV1,
    }))
    expect(fields).toEqual(managedFields)
  }
})

describe('beyond what was recorded', () => {
  const maps = '/api/v1/namespaces/default/configmaps'

  test('two conflicts name the manager once, with every field', async () => {
    await send('POST', `${maps}?fieldManager=first`, { metadata: { name: 'two' }, data: { a: '1', b: '1' } })
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'two' }, data: { a: '2', b: '2' } }
    const reply = await apply(`${maps}/two`, 'second', body)
    expect(reply.code).toBe(409)
    expect(reply.body.message).toBe(
      'Apply failed with 2 conflicts: conflicts with "first" using v1:\n- .data.a\n- .data.b',
    )
  })

  test('who creates or replaces an object owns what it sets, with the maps themselves', async () => {
    await send('POST', `${maps}?fieldManager=maker`, {
      metadata: { name: 'own', labels: { l: '1' } },
      data: { a: '1' },
    })
    const replaced = { metadata: { name: 'own', labels: { l: '1' } }, data: { b: '2' } }
    const { body } = await send('PUT', `${maps}/own?fieldManager=changer`, replaced)
    expect(body.metadata.managedFields).toMatchObject([
      { manager: 'maker', operation: 'Update', fieldsV1: { 'f:metadata': { 'f:labels': { '.': {}, 'f:l': {} } } } },
      { manager: 'changer', operation: 'Update', fieldsV1: { 'f:data': { 'f:b': {} } } },
    ])
  })

  test('an apply that changes nothing leaves the version as it is', async () => {
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'same' }, data: { a: '1' } }
    const first = await apply(`${maps}/same`, 'm', body)
    const second = await apply(`${maps}/same`, 'm', body)
    expect(second.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion)
  })

  test('ports are told apart by number and protocol', async () => {
    const service = (ports: object[]) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'ports' },
      spec: { selector: { a: 'b' }, ports },
    })
    const path = '/api/v1/namespaces/default/services/ports'
    await apply(path, 'tcp', service([{ name: 't', port: 53, protocol: 'TCP' }]))
    const { body, code } = await apply(path, 'udp', service([{ name: 'u', port: 53, protocol: 'UDP' }]))
    expect(code).toBe(200)
    expect(body.spec).toMatchObject({ ports: [{ name: 't' }, { name: 'u' }] })
    const left = await apply(path, 'tcp', { ...service([]), spec: { selector: { a: 'b' } } })
    expect((left.body.spec as unknown as { ports: object[] }).ports).toMatchObject([{ name: 'u', protocol: 'UDP' }])
  })

  test('without a manager there is no apply, and what is applied names no managers', async () => {
    const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'anon' } }
    const anonymous = await send('PATCH', `${maps}/anon`, body, 'application/apply-patch+yaml')
    expect(anonymous.code).toBe(422)
    const managed = { ...body, metadata: { name: 'anon', managedFields: [{ manager: 'x', operation: 'Apply' }] } }
    const refused = await apply(`${maps}/anon`, 'm', managed)
    expect([refused.code, refused.body.message]).toEqual([400, 'metadata.managedFields must be nil'])
  })
})
