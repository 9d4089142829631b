import { isObject, type Json, type JsonObject } from './json.ts'

/** RFC 7386. The document is not changed. */
export function applyMergePatch(document: Json, patch: Json): Json {
  if (!isObject(patch)) return patch
  const result: JsonObject = isObject(document) ? { ...document } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = applyMergePatch(result[key] ?? null, value)
  }
  return result
}
