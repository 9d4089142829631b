import { createHash } from 'node:crypto'
import schema from './api-schema.json' with { type: 'json' }
import { parseFieldType } from './api-types.ts'
import { groups } from './discovery.ts'
import type { JsonObject } from './json.ts'
import { groupVersion, RESOURCES, type Resource, VERSION } from './resources.ts'

const HASH = createHash('sha256').update(JSON.stringify(schema)).digest('hex').slice(0, 32)

/** `/openapi/v3` and the documents it names; null for any other path. kubectl reads them to validate and explain. */
export function openApi(path: string): JsonObject | null {
  const documents = ['api/v1', ...groups().map((group) => `apis/${group}/${VERSION}`)]
  if (path === '/openapi/v3') {
    const entries = documents.map((name) => [name, { serverRelativeURL: `/openapi/v3/${name}?hash=${HASH}` }])
    return { paths: Object.fromEntries(entries) as JsonObject }
  }
  const name = documents.find((document) => path === `/openapi/v3/${document}`)
  return name === undefined ? null : describeVersion(name)
}

function describeVersion(document: string): JsonObject {
  const resources = RESOURCES.filter((each) => document === `api${each.group ? 's' : ''}/${groupVersion(each)}`)
  const paths = resources.flatMap((each) => describePaths(each, document))
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'v1.33.0' },
    paths: Object.fromEntries(paths) as JsonObject,
    components: { schemas: describeTypes(resources) },
  }
}

const parameter = (name: string): JsonObject => ({ name, in: 'query', schema: { type: 'string', uniqueItems: true } })
const WRITE_PARAMETERS = ['dryRun', 'fieldManager', 'fieldValidation'].map(parameter)

function describePaths(resource: Resource, document: string): [string, JsonObject][] {
  const { plural, namespaced, kind, group } = resource
  const base = `/${document}${namespaced ? '/namespaces/{namespace}' : ''}/${plural}`
  const gvk = { group, version: VERSION, kind }
  const operation = (action: string, parameters: JsonObject[]): JsonObject => ({
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvk,
    parameters,
    responses: { 200: { description: 'OK' } },
  })
  return [
    [base, { get: operation('list', []), post: operation('post', WRITE_PARAMETERS) }],
    [
      `${base}/{name}`,
      {
        get: operation('get', []),
        put: operation('put', WRITE_PARAMETERS),
        patch: operation('patch', [...WRITE_PARAMETERS, parameter('force')]),
        delete: operation('delete', [parameter('dryRun')]),
      },
    ],
  ]
}

function describeTypes(resources: Resource[]): JsonObject {
  const kinds = new Map(resources.map((each) => [each.kind as string, each]))
  const waiting = [...kinds.keys()]
  const types: JsonObject = {}
  for (let type = waiting.pop(); type; type = waiting.pop()) {
    if (types[typeName(type)]) continue
    const fields = Object.entries((schema as Record<string, Record<string, string>>)[type] ?? {})
    const properties = fields.map(([name, declared]) => [name, describeField(declared, waiting)])
    const resource = kinds.get(type)
    const gvk = resource && [{ group: resource.group, version: VERSION, kind: resource.kind }]
    types[typeName(type)] = {
      type: 'object',
      properties: Object.fromEntries(properties) as JsonObject,
      ...(gvk ? { 'x-kubernetes-group-version-kind': gvk } : {}),
    }
  }
  return types
}

function describeField(declared: string, waiting: string[]): JsonObject {
  const { shape, item } = parseFieldType(declared)
  if (shape === 'list') return { type: 'array', items: describeField(item, waiting) }
  if (shape === 'map') return { type: 'object', additionalProperties: describeField(item, waiting) }
  switch (item) {
    case 'string':
    case 'boolean':
      return { type: item }
    case 'number':
      return { type: 'integer', format: 'int32' }
    case 'time':
      return { type: 'string', format: 'date-time' }
    case 'IntOrString':
      return { oneOf: [{ type: 'integer' }, { type: 'string' }], format: 'int-or-string' }
    case 'any':
      return { type: 'object' }
    default:
      waiting.push(item)
      return { allOf: [{ $ref: `#/components/schemas/${typeName(item)}` }] }
  }
}

function typeName(type: string): string {
  return `io.k8s.api.v1.${type}`
}
