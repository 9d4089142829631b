import { parseFieldType } from './api-types.ts'
import type { Json, JsonObject } from './json.ts'
import { isObject } from './json.ts'
import fields from './proto-fields.json' with { type: 'json' }

/**
 * Reads what newer kubectl sends for its typed `create` commands. Types and field numbers are those of the published
 * `.proto` files; see https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
 */
const MAGIC = Buffer.from('k8s\0')

const TYPES = fields as unknown as Record<string, Record<string, [name: string, type: string]> | undefined>

/** Messages whose fields are the containing object's own in JSON. */
const INLINED = new Set([
  'localObjectReference',
  'volumeSource',
  'handler',
  'ephemeralContainerCommon',
  'persistentVolumeSource',
])

/** Numbers and flags where 0 and false are said on purpose; elsewhere the encoding writes them for "not set". */
const MEANT_WHEN_ZERO = new Set([
  'replicas',
  'revisionHistoryLimit',
  'terminationGracePeriodSeconds',
  'activeDeadlineSeconds',
  'defaultMode',
  'mode',
  'runAsUser',
  'runAsGroup',
  'fsGroup',
  'priority',
  'tolerationSeconds',
  'expirationSeconds',
  'runAsNonRoot',
  'privileged',
  'allowPrivilegeEscalation',
  'readOnlyRootFilesystem',
  'automountServiceAccountToken',
  'enableServiceLinks',
  'immutable',
  'optional',
  'controller',
  'blockOwnerDeletion',
  'hostUsers',
])

/** The object in a protobuf body as JSON; null where it is none, or of a kind we do not know. */
export function decodeProtobuf(body: Buffer): JsonObject | null {
  if (!body.subarray(0, MAGIC.length).equals(MAGIC)) return null
  const envelope = [...readFields(body.subarray(MAGIC.length))]
  const bytesOf = (number: number) => {
    const value = envelope.find((field) => field.number === number)?.value
    return Buffer.isBuffer(value) ? value : Buffer.alloc(0)
  }
  const [apiVersion = '', kind = ''] = [1, 2].map((number) => {
    const value = [...readFields(bytesOf(1))].find((field) => field.number === number)?.value
    return Buffer.isBuffer(value) ? value.toString() : ''
  })
  if (!TYPES[kind]) return null
  return { apiVersion, kind, ...decodeMessage(bytesOf(2), kind) }
}

interface RawField {
  number: number
  value: bigint | Buffer
}

/** The fields of a message as they stand on the wire. https://protobuf.dev/programming-guides/encoding/ */
function* readFields(bytes: Buffer): Generator<RawField> {
  const reader = { bytes, at: 0 }
  while (reader.at < bytes.length) {
    const tag = Number(readVarint(reader))
    const number = tag >>> 3
    const wire = tag & 7
    if (wire === 0) yield { number, value: readVarint(reader) }
    else {
      const length = wire === 2 ? Number(readVarint(reader)) : wire === 1 ? 8 : 4
      yield { number, value: bytes.subarray(reader.at, reader.at + length) }
      reader.at += length
    }
  }
}

function readVarint(reader: { bytes: Buffer; at: number }): bigint {
  let value = 0n
  for (let shift = 0n; ; shift += 7n) {
    const byte = reader.bytes[reader.at++] ?? 0
    value |= BigInt(byte & 0x7f) << shift
    if ((byte & 0x80) === 0) return BigInt.asIntN(64, value)
  }
}

function decodeMessage(bytes: Buffer, type: string): JsonObject {
  const result: JsonObject = {}
  for (const { number, value } of readFields(bytes)) {
    const [name, declared] = TYPES[type]?.[String(number)] ?? []
    if (name === undefined || declared === undefined) continue
    const { shape, item } = parseFieldType(declared)
    if (shape === 'map') putEntry(result, name, { value, item })
    else {
      const decoded = decodeValue(value, item)
      if (shape === 'list') result[name] = [...((result[name] ?? []) as Json[]), decoded]
      else if (INLINED.has(name) && isObject(decoded)) Object.assign(result, decoded)
      else if (isSaid(name, decoded)) result[name] = decoded
    }
  }
  return result
}

/** The encoding writes empty values for fields that were not set. */
function isSaid(name: string, value: Json): boolean {
  if (value === null || value === '') return false
  if (value === 0 || value === false) return MEANT_WHEN_ZERO.has(name)
  return !(name === 'status' && isObject(value) && Object.keys(value).length === 0)
}

/** A map's entry is a message of its key and its value. */
function putEntry(result: JsonObject, name: string, { value, item }: { value: bigint | Buffer; item: string }): void {
  const parts = Buffer.isBuffer(value) ? [...readFields(value)] : []
  const part = (number: number) => parts.find((field) => field.number === number)?.value ?? Buffer.alloc(0)
  const key = decodeValue(part(1), 'string')
  result[name] = {
    ...(result[name] as JsonObject | undefined),
    [typeof key === 'string' ? key : '']: decodeValue(part(2), item),
  }
}

function decodeValue(value: bigint | Buffer, type: string): Json {
  if (!Buffer.isBuffer(value)) return type === 'bool' ? value !== 0n : Number(value)
  switch (type) {
    case 'string':
      return value.toString()
    case 'bytes':
      return value.toString('base64')
    case 'Time':
    case 'MicroTime':
      return decodeTime(value)
    case 'Quantity':
      return textField(value, 1)
    case 'IntOrString':
      return decodeIntOrString(value)
    case 'FieldsV1':
      return {}
    default:
      return decodeMessage(value, type)
  }
}

/** Seconds and nanoseconds since 1970; Go's zero time means none. */
function decodeTime(bytes: Buffer): Json {
  const seconds = [...readFields(bytes)].find(({ number }) => number === 1)?.value
  if (typeof seconds !== 'bigint' || seconds <= 0n) return null
  return new Date(Number(seconds) * 1000).toISOString().replace('.000Z', 'Z')
}

function decodeIntOrString(bytes: Buffer): Json {
  const parts = [...readFields(bytes)]
  const number = (wanted: number) => Number(parts.find((field) => field.number === wanted)?.value ?? 0n)
  return number(1) === 1 ? textField(bytes, 3) : number(2)
}

function textField(bytes: Buffer, wanted: number): string {
  const value = [...readFields(bytes)].find(({ number }) => number === wanted)?.value
  return Buffer.isBuffer(value) ? value.toString() : ''
}
