import { parse as parseYaml } from 'yaml'
import { messageOf } from '#domain/errors'
import { badRequest, unsupportedBody } from './api-error.ts'
import { type FieldType, fieldsOf, parseFieldType } from './api-types.ts'
import { isObject, type Json, type JsonObject } from './json.ts'
import { decodeProtobuf } from './protobuf.ts'
import { groupVersion, type Resource } from './resources.ts'

/** No object of Kubernetes comes near this; every function that walks through values may trust it. */
const MOST_DEPTH = 500

/** Without recursion: this is what keeps the others from going too deep. */
function isDeeper(value: Json, limit: number): boolean {
  let level: Json[] = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > limit) return true
    level = level.flatMap((each) => (typeof each === 'object' && each !== null ? Object.values(each) : []))
  }
  return false
}

/** Parses a body as its content type says; `what` is the kind it should hold. */
export function parseBody(body: Buffer, contentType: string, what: string): Json {
  const media = contentType.split(';')[0]?.trim() ?? ''
  if (media === 'application/vnd.kubernetes.protobuf') {
    const decoded = decodeProtobuf(body)
    if (!decoded) throw unsupportedBody()
    return decoded
  }
  const text = body.toString('utf8')
  const isYaml = media === 'application/yaml' || media.endsWith('+yaml')
  if (!isYaml && media !== 'application/json' && !media.endsWith('+json') && media !== '') throw unsupportedBody()
  try {
    const value = (isYaml ? parseYaml(text) : JSON.parse(text)) as Json
    if (isDeeper(value, MOST_DEPTH)) throw new RangeError(`exceeded max depth of ${MOST_DEPTH}`)
    return value
  } catch (error) {
    const why = `couldn't get version/kind; json parse error: ${messageOf(error)}`
    throw badRequest(`the object provided is unrecognized (must be of type ${what}): ${why}`)
  }
}

export interface Decoded {
  object: JsonObject
  /** Fields no type of ours has, as `unknown field "spec.replcas"`; they were left out. */
  unknown: string[]
}

/** Reads an object of a kind: drops nulls and unknown fields; values of a wrong type end in 400. */
export function decodeObject(value: Json, resource: Resource): Decoded {
  const { kind } = resource
  const wanted = groupVersion(resource)
  if (!isObject(value)) throw badRequest(`the object provided is unrecognized (must be of type ${kind})`)
  const given = { kind: value['kind'] ?? kind, apiVersion: value['apiVersion'] ?? wanted }
  if (given.kind !== kind || given.apiVersion !== wanted) {
    const version = textOf(given.apiVersion).split('/').at(-1)
    const found = textOf(given.kind)
    const conversion = `converting (${version}.${found}) to (${resource.group || 'core'}.${kind})`
    throw badRequest(
      `${found} in version "${version}" cannot be handled as a ${kind}: ${conversion}: unknown conversion`,
    )
  }
  const decoder = new Decoder(kind)
  const object = decoder.fields(value, kind, '')
  return { object: { ...object, kind, apiVersion: wanted }, unknown: decoder.unknown }
}

function textOf(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

export function strictDecodingError(resource: Resource, unknown: string[]) {
  const kind = resource.kind
  return badRequest(
    `${kind} in version "v1" cannot be handled as a ${kind}: strict decoding error: ${unknown.join(', ')}`,
  )
}

/** Fields that hold quantities: a number there means its digits. */
const QUANTITIES = new Set(['limits', 'requests', 'capacity', 'allocatable', 'overhead', 'allocatedResources'])

class Decoder {
  readonly unknown: string[] = []
  readonly #kind: string

  constructor(kind: string) {
    this.#kind = kind
  }

  fields(value: JsonObject, type: string, path: string): JsonObject {
    const known = fieldsOf(type)
    if (!known) return value
    const result: JsonObject = {}
    for (const [name, field] of Object.entries(value)) {
      const at = path === '' ? name : `${path}.${name}`
      const declared = known[name]
      if (declared === undefined) this.unknown.push(`unknown field "${at}"`)
      else if (field !== null) result[name] = this.#field(field, parseFieldType(declared), at)
    }
    return result
  }

  #field(value: Json, { shape, item }: FieldType, path: string): Json {
    if (shape === 'list') {
      if (!Array.isArray(value)) throw this.#wrong(value, `[]${item}`, path)
      return value.map((each, index) => this.#one(each, item, `${path}[${index}]`))
    }
    if (shape === 'map') {
      if (!isObject(value)) throw this.#wrong(value, `map[string]${item}`, path)
      const isQuantity = QUANTITIES.has(path.split('.').at(-1) ?? '')
      const entries = Object.entries(value).filter(([, each]) => each !== null)
      return Object.fromEntries(
        entries.map(([key, each]) => {
          const text = isQuantity && typeof each === 'number' ? String(each) : each
          return [key, this.#one(text, item, `${path}.${key}`)]
        }),
      )
    }
    return this.#one(value, item, path)
  }

  #one(value: Json, type: string, path: string): Json {
    switch (type) {
      case 'string':
      case 'time':
        if (typeof value !== 'string') throw this.#wrong(value, 'string', path)
        return value
      case 'number':
        if (typeof value !== 'number') throw this.#wrong(value, 'int32', path)
        return value
      case 'boolean':
        if (typeof value !== 'boolean') throw this.#wrong(value, 'bool', path)
        return value
      case 'IntOrString':
        if (typeof value !== 'number' && typeof value !== 'string') throw this.#wrong(value, 'IntOrString', path)
        return value
      default: {
        if (fieldsOf(type) === null) return value
        if (!isObject(value)) throw this.#wrong(value, `v1.${type}`, path)
        return this.fields(value, type, path)
      }
    }
  }

  #wrong(value: Json, wanted: string, path: string) {
    const found = Array.isArray(value)
      ? 'array'
      : isObject(value)
        ? 'object'
        : typeof value === 'boolean'
          ? 'bool'
          : typeof value
    const why = `json: cannot unmarshal ${found} into Go struct field ${this.#kind}.${path} of type ${wanted}`
    return badRequest(`${this.#kind} in version "v1" cannot be handled as a ${this.#kind}: ${why}`)
  }
}
