/**
 * Prints `api-schema.json`: the fields of every type our kinds are made of, as Kubernetes' own client declares them.
 * Run it after an update of @kubernetes/client-node: `node test/support/make-api-schema.ts > cluster/server/api-schema.json`
 */
import * as client from '@kubernetes/client-node'
import { RESOURCES } from '../../cluster/server/resources.ts'

interface Attribute {
  baseName: string
  type: string
  format: string
}

/** Type name -> field name -> type of its value; a list is `[T]`, a map is `{T}`. */
export type ApiSchema = Record<string, Record<string, string>>

/** `V1Pod` for Kubernetes' core/v1 Pod; only these few differ from `V1` and the kind. */
const MODEL_NAMES: Record<string, string> = { Event: 'CoreV1Event' }

export function makeApiSchema(): ApiSchema {
  const schema: ApiSchema = {}
  const waiting = RESOURCES.map(({ kind }) => MODEL_NAMES[kind] ?? `V1${kind}`)
  for (let name = waiting.pop(); name; name = waiting.pop()) {
    const type = typeName(name)
    if (schema[type]) continue
    const fields = attributesOf(name).map(({ baseName, type }) => [baseName, fieldType(type, waiting)] as const)
    schema[type] = Object.fromEntries(fields.sort(([a], [b]) => (a < b ? -1 : 1)))
  }
  return Object.fromEntries(Object.entries(schema).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function attributesOf(model: string): Attribute[] {
  const found = (client as unknown as Record<string, { getAttributeTypeMap?: () => Attribute[] }>)[model]
  return found?.getAttributeTypeMap?.() ?? []
}

function fieldType(declared: string, waiting: string[]): string {
  const list = /^(?:Array|Set)<(.*)>$/.exec(declared)
  if (list) return `[${fieldType(list[1] ?? '', waiting)}]`
  const map = /^\{ \[key: string\]: (.*); \}$/.exec(declared)
  if (map) return `{${fieldType(map[1] ?? '', waiting)}}`
  if (attributesOf(declared).length === 0) return declared === 'Date' || declared === 'V1MicroTime' ? 'time' : declared
  waiting.push(declared)
  return typeName(declared)
}

function typeName(model: string): string {
  return model.replace(/^CoreV1/, '').replace(/^V1/, '')
}

if (import.meta.main) process.stdout.write(`${JSON.stringify(makeApiSchema(), null, 1)}\n`)
