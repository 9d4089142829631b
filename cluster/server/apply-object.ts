import {
  below,
  type Child,
  childrenOf,
  type FieldSet,
  isWithin,
  type Place,
  placeOfKind,
  rebuild,
} from './field-set.ts'
import type { Json, JsonObject } from './json.ts'

/** An object with the fields of an applied one in it; what the applied one does not name stays. */
export function mergeApplied(live: JsonObject, applied: JsonObject, kind: string): JsonObject {
  const place = placeOfKind(kind)
  return merge({ value: live, place }, { value: applied, place }) as JsonObject
}

function merge(live: Child, applied: Child): Json {
  const [old, wanted] = [childrenOf(live.value, live.place), childrenOf(applied.value, applied.place)]
  if (!old || !wanted) return applied.value
  const merged = new Map(old)
  for (const [element, child] of wanted) {
    const earlier = old.get(element)
    merged.set(element, earlier ? { ...child, value: merge(earlier, child) } : child)
  }
  return rebuild(merged, live.place)
}

/** An object without the fields that nobody wants any more. What holds a field of `kept` stays. */
export function pruneFields(object: JsonObject, dropped: FieldSet, kept: FieldSet, kind: string): JsonObject {
  if (dropped.size === 0) return object
  const pruned = prune({ value: object, place: placeOfKind(kind) }, '', { dropped: [...dropped], kept: [...kept] })
  return (pruned ?? object) as JsonObject
}

/** Undefined where nothing is left. */
function prune({ value, place }: { value: Json; place: Place }, path: string, fields: Pruning): Json | undefined {
  const children = childrenOf(value, place)
  if (!children) return value
  const left = new Map<string, Child>()
  for (const [element, child] of children) {
    const at = below(path, element)
    const isTouched = fields.dropped.some((field) => isWithin(field, at))
    if (!isTouched) {
      left.set(element, child)
      continue
    }
    if (fields.dropped.includes(at) && !fields.kept.some((field) => isWithin(field, at))) continue
    const rest = prune(child, at, fields)
    if (rest !== undefined) left.set(element, { ...child, value: rest })
  }
  return left.size === 0 && children.size > 0 ? undefined : rebuild(left, place)
}

interface Pruning {
  dropped: string[]
  kept: string[]
}
