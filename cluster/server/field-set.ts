import { isDeepStrictEqual } from 'node:util'
import { applyKeys, fieldsOf, fieldType, isAtomic } from './api-types.ts'
import { isObject, type Json, type JsonObject } from './json.ts'

/**
 * Fields of an object, each as the elements of its path: `f:name` of a field or key, `k:{…}` of a list's item by its
 * keys, `v:…` of a member of a set. https://kubernetes.io/docs/reference/using-api/server-side-apply/#fields-v1
 */
export type FieldSet = Set<string>

/** No element holds it: JSON has it escaped, and names are without it. */
const SEPARATOR = '\n'

export function below(path: string, element: string): string {
  return path === '' ? element : `${path}${SEPARATOR}${element}`
}

export function isWithin(path: string, parent: string): boolean {
  return path === parent || path.startsWith(`${parent}${SEPARATOR}`)
}

/** What a value is, as far as merging it goes. */
export interface Place {
  shape: 'one' | 'list' | 'map'
  item: string
  isAtomic: boolean
  /** Of a list only; null where it is one value. */
  keys: string[] | null
}

export interface Child {
  value: Json
  place: Place
}

export function placeOfKind(kind: string): Place {
  return { shape: 'one', item: kind, isAtomic: false, keys: null }
}

function placeOfField(type: string, field: string): Place {
  const declared = fieldType(type, field) ?? { shape: 'one', item: 'any' }
  return { ...declared, isAtomic: isAtomic(type, field), keys: applyKeys(type, field) }
}

/** The parts of a value that are owned one by one; null where it is owned as a whole. */
export function childrenOf(value: Json, place: Place): Map<string, Child> | null {
  if (place.isAtomic) return null
  const itemPlace = placeOfKind(place.item)
  if (place.shape === 'list') {
    const { keys } = place
    if (keys === null || !Array.isArray(value)) return null
    return new Map(value.map((item) => [itemElement(item, keys), { value: item, place: itemPlace }]))
  }
  if (!isObject(value)) return null
  if (place.shape === 'map') {
    return new Map(Object.entries(value).map(([key, each]) => [`f:${key}`, { value: each, place: itemPlace }]))
  }
  if (fieldsOf(place.item) === null) return null
  const fields = Object.entries(value).filter(([, each]) => each !== undefined && each !== null)
  return new Map(
    fields.map(([key, each]) => [`f:${key}`, { value: each, place: placeOfField(place.item, key) }] as const),
  )
}

/** A value out of its parts. */
export function rebuild(children: ReadonlyMap<string, Child>, { shape }: Place): Json {
  if (shape === 'list') return [...children.values()].map(({ value }) => value)
  return Object.fromEntries([...children].map(([element, { value }]) => [element.slice(2), value]))
}

/** What a key of an item is where the item does not say. */
const KEY_DEFAULTS: Record<string, Json> = { protocol: 'TCP' }

function itemElement(item: Json, keys: string[]): string {
  if (keys.length === 0 || !isObject(item)) return `v:${JSON.stringify(item)}`
  const named = keys.map((key) => [key, item[key] ?? KEY_DEFAULTS[key] ?? null] as const)
  return `k:${JSON.stringify(Object.fromEntries(named))}`
}

/** Every field that a value sets. */
export function fieldsIn(value: Json, place: Place, path = '', found: FieldSet = new Set()): FieldSet {
  const children = childrenOf(value, place)
  if (path !== '' && (!children || children.size === 0)) found.add(path)
  for (const [element, child] of children ?? []) {
    const at = below(path, element)
    if (element.startsWith('k:')) found.add(at)
    fieldsIn(child.value, child.place, at, found)
  }
  return found
}

/** Structs that are always there, though they may be empty: nobody owns them as such. */
const STRUCTS = new Set([
  'metadata',
  'spec',
  'status',
  'template',
  'jobTemplate',
  'strategy',
  'updateStrategy',
  'containers',
])

function allIn({ value, place }: Child, path: string, found: FieldSet): void {
  const children = childrenOf(value, place)
  const isStruct = STRUCTS.has(path.split(SEPARATOR).at(-1)?.slice(2) ?? '')
  if (!isStruct || !children || children.size === 0) found.add(path)
  for (const [element, child] of children ?? []) allIn(child, below(path, element), found)
}

export interface Difference {
  /** Fields with a new value, or that were not there. */
  set: FieldSet
  removed: FieldSet
}

export function compareFields(before: Json, after: Json, kind: string): Difference {
  const found: Difference = { set: new Set(), removed: new Set() }
  const place = placeOfKind(kind)
  compare({ value: before, place }, { value: after, place }, '', found)
  return found
}

function compare(before: Child, after: Child, path: string, found: Difference): void {
  const [old, now] = [childrenOf(before.value, before.place), childrenOf(after.value, after.place)]
  if (!old || !now) {
    if (!isDeepStrictEqual(before.value, after.value)) found.set.add(path)
    return
  }
  for (const [element, child] of now) {
    const earlier = old.get(element)
    if (earlier) compare(earlier, child, below(path, element), found)
    else allIn(child, below(path, element), found.set)
  }
  for (const [element, child] of old) if (!now.has(element)) allIn(child, below(path, element), found.removed)
}

/** The form in which an object keeps whose field is whose. */
export function toFieldsV1(fields: FieldSet): JsonObject {
  const root: JsonObject = {}
  for (const path of [...fields].sort()) {
    let node = root
    for (const element of path.split(SEPARATOR)) {
      const next = (node[element] ?? {}) as JsonObject
      node[element] = next
      node = next
    }
    node['.'] = {}
  }
  return withoutLoneDots(root)
}

/** A field with nothing below it needs no mark that it is meant itself. */
function withoutLoneDots(node: JsonObject): JsonObject {
  const entries = Object.entries(node)
  if (entries.length === 1 && entries[0]?.[0] === '.') return {}
  return Object.fromEntries(entries.map(([key, child]) => [key, withoutLoneDots(child as JsonObject)]))
}

export function fromFieldsV1(node: Json | undefined, path = '', found: FieldSet = new Set()): FieldSet {
  if (!isObject(node)) return found
  const elements = Object.keys(node)
  if (path !== '' && (elements.length === 0 || elements.includes('.'))) found.add(path)
  for (const element of elements) if (element !== '.') fromFieldsV1(node[element], below(path, element), found)
  return found
}

/** `.spec.containers[name="c"].image` */
export function fieldText(path: string): string {
  const elements = path.split(SEPARATOR).map((element) => {
    const rest = element.slice(2)
    if (element.startsWith('f:')) return `.${rest}`
    if (element.startsWith('v:')) return `[=${rest}]`
    const keys = Object.entries(JSON.parse(rest) as JsonObject)
    return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`
  })
  return elements.join('')
}
