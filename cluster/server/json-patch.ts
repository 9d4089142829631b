import { isDeepStrictEqual } from 'node:util'
import { SlipwayError } from '#domain/errors'
import { isObject, type Json } from './json.ts'

interface Operation {
  op: string
  path: string
  from?: string
  value?: Json
}

/** RFC 6902. The document is not changed. */
export function applyJsonPatch(document: Json, operations: Json): Json {
  if (!Array.isArray(operations)) throw wrong('the patch is not a list of operations')
  let result = structuredClone(document)
  for (const operation of operations) result = applyOperation(result, operation as unknown as Operation)
  return result
}

function applyOperation(document: Json, operation: Operation): Json {
  const { op, path, from = '' } = operation
  if (typeof path !== 'string') throw wrong(`operation ${op} has no path`)
  switch (op) {
    case 'add':
      return put(document, path, operation.value ?? null, 'add')
    case 'replace':
      expectThere(document, path)
      return put(document, path, operation.value ?? null, 'replace')
    case 'remove':
      return remove(document, path)
    case 'test':
      if (!isDeepStrictEqual(read(document, path) ?? null, operation.value ?? null))
        throw wrong(`test of ${path} failed`)
      return document
    case 'move': {
      const moved = expectThere(document, from)
      return put(remove(document, from), path, moved, 'add')
    }
    case 'copy':
      return put(document, path, structuredClone(expectThere(document, from)), 'add')
    default:
      throw wrong(`unknown operation ${op}`)
  }
}

function put(document: Json, path: string, value: Json, how: 'add' | 'replace'): Json {
  if (path === '') return value
  const { parent, key } = parentOf(document, path)
  if (Array.isArray(parent)) {
    const index = key === '-' ? parent.length : indexIn(parent, key, how === 'add' ? 1 : 0, path)
    parent.splice(index, how === 'add' ? 0 : 1, value)
  } else {
    parent[key] = value
  }
  return document
}

function remove(document: Json, path: string): Json {
  expectThere(document, path)
  const { parent, key } = parentOf(document, path)
  if (Array.isArray(parent)) parent.splice(indexIn(parent, key, 0, path), 1)
  else delete parent[key]
  return document
}

function parentOf(document: Json, path: string) {
  const keys = split(path)
  const key = keys.pop() ?? ''
  const parent = walk(document, keys)
  if (!Array.isArray(parent) && !isObject(parent)) throw wrong(`there is no ${path}`)
  return { parent, key }
}

function expectThere(document: Json, path: string): Json {
  const found = read(document, path)
  if (found === undefined) throw wrong(`there is no ${path}`)
  return found
}

function read(document: Json, path: string): Json | undefined {
  return path === '' ? document : walk(document, split(path))
}

function walk(document: Json, keys: string[]): Json | undefined {
  let at: Json | undefined = document
  for (const key of keys) {
    if (Array.isArray(at)) at = /^(0|[1-9]\d*)$/.test(key) ? at[Number(key)] : undefined
    else if (isObject(at)) at = Object.hasOwn(at, key) ? at[key] : undefined
    else return undefined
  }
  return at
}

function split(path: string): string[] {
  if (!path.startsWith('/')) throw wrong(`path ${path} does not start with /`)
  return path
    .slice(1)
    .split('/')
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function indexIn(list: Json[], key: string, beyond: number, path: string): number {
  const index = /^(0|[1-9]\d*)$/.test(key) ? Number(key) : -1
  if (index < 0 || index >= list.length + beyond) throw wrong(`there is no ${path}`)
  return index
}

function wrong(what: string): SlipwayError {
  return new SlipwayError('invalid', `JSON patch: ${what}`)
}
