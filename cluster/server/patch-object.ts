import { messageOf } from '#domain/errors'
import type { KubeObject } from '../kinds.ts'
import { ApiError, badRequest } from './api-error.ts'
import { isObject, type Json, type JsonObject } from './json.ts'
import { applyJsonPatch } from './json-patch.ts'
import { applyMergePatch } from './merge-patch.ts'
import { applyStrategicMergePatch } from './strategic-merge-patch.ts'

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply'

const TYPES: Record<string, PatchType> = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
  'application/apply-patch+yaml': 'apply',
}

export function patchTypeOf(contentType: string): PatchType {
  const type = TYPES[contentType.split(';')[0]?.trim() ?? '']
  if (!type) throw new ApiError(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {})
  return type
}

/** The object as the patch wants it. */
export function patchObject(type: Exclude<PatchType, 'apply'>, object: KubeObject, patch: Json): Json {
  const document = object as unknown as JsonObject
  switch (type) {
    case 'json':
      return jsonPatched(document, patch)
    case 'merge':
      return applyMergePatch(document, expectObject(patch))
    case 'strategic':
      return strategicPatched(document, expectObject(patch), object.kind)
    default:
      return type satisfies never
  }
}

function jsonPatched(document: JsonObject, patch: Json): Json {
  if (!Array.isArray(patch)) {
    throw badRequest('json: cannot unmarshal object into Go value of type jsonpatch.Patch')
  }
  try {
    return applyJsonPatch(document, patch)
  } catch (error) {
    const message = 'the server rejected our request due to an error in our request'
    throw new ApiError(422, 'Invalid', `${message}: ${messageOf(error)}`, {})
  }
}

function strategicPatched(document: JsonObject, patch: JsonObject, kind: string): Json {
  try {
    return applyStrategicMergePatch(document, patch, kind)
  } catch (error) {
    throw new ApiError(500, '', messageOf(error))
  }
}

function expectObject(patch: Json): JsonObject {
  if (!isObject(patch)) throw badRequest('the patch is not an object')
  return patch
}
