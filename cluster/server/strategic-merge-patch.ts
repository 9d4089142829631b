import { isDeepStrictEqual } from 'node:util'
import { SlipwayError } from '#domain/errors'
import { fieldType, mergeKey } from './api-types.ts'
import { isObject, type Json, type JsonObject } from './json.ts'

const ORDER = '$setElementOrder/'
const DELETE_FROM = '$deleteFromPrimitiveList/'

/**
 * Kubernetes' own patch: lists of named things are merged by their key; directives begin with `$`.
 * https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
 * The document is not changed.
 */
export function applyStrategicMergePatch(document: JsonObject, patch: JsonObject, type: string): JsonObject {
  return mergeObjects(document, patch, type)
}

function mergeObjects(original: JsonObject, patch: JsonObject, type: string): JsonObject {
  if (patch['$patch'] === 'replace') return withoutDirectives(patch) as JsonObject
  if (patch['$patch'] === 'delete') return {}
  const retained = patch['$retainKeys']
  const result = { ...original }
  if (Array.isArray(retained)) {
    for (const key of Object.keys(result)) if (!retained.includes(key)) delete result[key]
  }
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith(DELETE_FROM)) removeScalars(result, key.slice(DELETE_FROM.length), value)
    else if (key.startsWith(ORDER)) reorder(result, key.slice(ORDER.length), patch, type)
    else if (!key.startsWith('$')) mergeField(result, key, patch, type)
  }
  return result
}

/** Merges one field of `patch` into `result`. */
function mergeField(result: JsonObject, field: string, patch: JsonObject, type: string): void {
  const value = patch[field] ?? null
  const before = result[field]
  if (value === null) {
    delete result[field]
  } else if (Array.isArray(value)) {
    result[field] = mergeLists(Array.isArray(before) ? before : [], value, listRule(patch, field, type))
  } else if (isObject(value) && isObject(before)) {
    const declared = fieldType(type, field)
    result[field] = mergeObjects(before, value, declared?.shape === 'one' ? declared.item : '')
  } else {
    result[field] = withoutDirectives(value)
  }
}

interface ListRule {
  /** Merge key, '' for scalars, null for lists that are replaced. */
  key: string | null
  item: string
  /** Wanted order: items or keys of items; null if the patch gives none. */
  order: Json[] | null
}

function listRule(patch: JsonObject, field: string, type: string): ListRule {
  const order = patch[`${ORDER}${field}`]
  return {
    key: mergeKey(type, field),
    item: fieldType(type, field)?.item ?? '',
    order: Array.isArray(order) ? order : null,
  }
}

/** An order without new items: only the list that is there is put in order. */
function reorder(result: JsonObject, field: string, patch: JsonObject, type: string): void {
  const list = result[field]
  if (patch[field] !== undefined || !Array.isArray(list)) return
  const rule = listRule(patch, field, type)
  if (rule.key !== null) result[field] = inOrder(list, list, rule, [])
}

function mergeLists(original: Json[], patch: Json[], rule: ListRule): Json[] {
  const { key } = rule
  if (key === null) return patch.map(withoutDirectives)
  if (key === '')
    return inOrder([...original, ...patch.filter((item) => !original.includes(item))], original, rule, patch)
  const changes = patch.map((item) => expectKey(item, key))
  if (changes.some((change) => change['$patch'] === 'replace' && !(key in change))) {
    return changes.filter((change) => change['$patch'] !== 'replace').map(withoutDirectives)
  }
  let merged = original
  for (const change of changes) merged = mergeItem(merged, change, rule)
  const kept = changes.filter((change) => change['$patch'] !== 'delete')
  return inOrder(merged, original, rule, kept)
}

function mergeItem(list: Json[], change: JsonObject, rule: ListRule): Json[] {
  const isSame = (item: Json) => sameItem(item, change, rule)
  if (change['$patch'] === 'delete') return list.filter((item) => !isSame(item))
  if (!list.some(isSame)) return [...list, withoutDirectives(change)]
  return list.map((item) => (isSame(item) && isObject(item) ? mergeObjects(item, change, rule.item) : item))
}

/**
 * Puts what the patch names in the patch's order, and the rest around it in the order it had; a new item goes before
 * what only the server has.
 */
function inOrder(merged: Json[], original: Json[], rule: ListRule, patch: Json[]): Json[] {
  const order = rule.order ?? patch
  const indexIn = (list: Json[], item: Json) => list.findIndex((other) => sameItem(other, item, rule))
  const named = merged.filter((item) => indexIn(order, item) >= 0)
  named.sort((a, b) => indexIn(order, a) - indexIn(order, b))
  const rest = merged.filter((item) => indexIn(order, item) < 0)
  const result: Json[] = []
  for (const next of named) {
    const at = indexIn(original, next)
    const later = rest.findIndex((item) => indexIn(original, item) >= at)
    result.push(...rest.splice(0, later < 0 ? (at < 0 ? 0 : rest.length) : later), next)
  }
  return [...result, ...rest]
}

function sameItem(a: Json, b: Json, { key }: ListRule): boolean {
  if (!key) return a === b
  return isObject(a) && isObject(b) && isDeepStrictEqual(a[key], b[key])
}

function removeScalars(result: JsonObject, field: string, removed: Json): void {
  const list = result[field]
  if (Array.isArray(list) && Array.isArray(removed)) result[field] = list.filter((item) => !removed.includes(item))
}

function expectKey(item: Json, key: string): JsonObject {
  if (isObject(item) && (key in item || item['$patch'] === 'replace')) return item
  const fields = isObject(item)
    ? Object.entries(item).map(
        ([name, value]) => `${name}:${typeof value === 'string' ? value : JSON.stringify(value)}`,
      )
    : [JSON.stringify(item)]
  throw new SlipwayError('invalid', `map: map[${fields.join(' ')}] does not contain declared merge key: ${key}`)
}

/** A patch's value where there was none before: directives and nulls have nothing to act on. */
function withoutDirectives(value: Json): Json {
  if (Array.isArray(value)) {
    const isDirective = (item: Json) => isObject(item) && (item['$patch'] === 'delete' || item['$patch'] === 'replace')
    const kept = value.filter((item) => !isDirective(item))
    return kept.map(withoutDirectives)
  }
  if (!isObject(value)) return value
  const kept = Object.entries(value).filter(([key, field]) => !key.startsWith('$') && field !== null)
  return Object.fromEntries(kept.map(([key, field]) => [key, withoutDirectives(field)]))
}
