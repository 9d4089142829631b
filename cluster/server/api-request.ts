import { badRequest, invalidOption } from './api-error.ts'
import type { Json } from './json.ts'
import { groupVersion, RESOURCES, type Resource } from './resources.ts'

/** A request, freed from the HTTP library. */
export interface ApiRequest {
  method: string
  path: string
  query: URLSearchParams
  accept: string
  contentType: string
  /** The client's name for itself, as HTTP has it. */
  userAgent: string
  body: Buffer
  /** Aborts when the client has gone or the server stops. */
  signal: AbortSignal
}

export interface ApiReply {
  code: number
  body: Json | string | AsyncIterable<string | Uint8Array>
  contentType?: string
  /** Shown by kubectl as warnings. */
  warnings?: string[]
}

/** What a path names. `name` '' is the whole list; `namespace` '' is all, or none for kinds that have none. */
export interface Target {
  resource: Resource
  namespace: string
  name: string
  subresource: string
}

/** Reads `/apis/GROUP/v1/namespaces/NS/PLURAL/NAME/SUBRESOURCE`; null where it is no path of ours. */
export function parseTarget(path: string): Target | null {
  const parts = path.split('/').slice(1).map(decodePart)
  const prefix = parts[0] === 'api' ? [parts.shift(), ''] : parts.splice(0, 2)
  if (prefix[0] !== 'api' && prefix[0] !== 'apis') return null
  const version = parts.shift()
  const find = (plural: string | undefined) =>
    RESOURCES.find((each) => each.plural === plural && each.group === prefix[1] && isVersion(each, version)) ?? null
  const isInNamespace = parts[0] === 'namespaces' && parts.length >= 3 && find(parts[2])?.namespaced
  const namespace = isInNamespace ? (parts[1] ?? '') : ''
  const [plural, name = '', subresource = '', ...rest] = isInNamespace ? parts.slice(2) : parts
  const resource = find(plural)
  if (!resource || rest.length > 0) return null
  if (name !== '' && resource.namespaced && namespace === '') return null
  return { resource, namespace, name, subresource }
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw badRequest(`the path has a part that is badly encoded: ${part}`)
  }
}

function isVersion(resource: Resource, version: string | undefined): boolean {
  return groupVersion(resource).split('/').at(-1) === version
}

/** Whether a flag such as `watch` is set: present and not false. */
export function flag(query: URLSearchParams, name: string): boolean {
  const value = query.get(name)
  return value !== null && value !== 'false' && value !== '0'
}

export function isDryRun(query: URLSearchParams, options: string): boolean {
  const wrong = query.getAll('dryRun').filter((value) => value !== 'All' && value !== '')
  if (wrong.length > 0) {
    const shown = `[]string{${wrong.map((value) => JSON.stringify(value)).join(', ')}}`
    const message = `Unsupported value: ${shown}: supported values: "All"`
    throw invalidOption(options, { reason: 'FieldValueNotSupported', message, field: 'dryRun' })
  }
  return query.get('dryRun') === 'All'
}

/** Who is to own the fields that a request sets. */
export function managerOf({ query, userAgent }: Pick<ApiRequest, 'query' | 'userAgent'>): string {
  return query.get('fieldManager') || userAgent.split('/')[0] || 'unknown'
}

/** A whole number of a query parameter, or null where it is not given. */
export function wholeNumber(query: URLSearchParams, name: string): number | null {
  const value = query.get(name)
  if (value === null || value === '') return null
  if (!/^\d+$/.test(value))
    throw badRequest(`${name}: Invalid value: ${JSON.stringify(value)}: expected a whole number`)
  return Number(value)
}
