import type { Redis } from 'ioredis'
import { SlipwayError } from '#domain/errors'
import { connect, disconnect } from './connection.ts'
import { keys } from './keys.ts'
import { runScript } from './scripts.ts'

/** One object of the cluster as text, with the store's version of its last change. */
interface ObjectRecord {
  /** `Kind/namespace/name`. */
  key: string
  version: number
  json: string
}

export interface ObjectRecordChange extends ObjectRecord {
  kind: 'created' | 'updated' | 'deleted'
}

/**
 * The embedded cluster's objects. One version counter for all of them: every change takes the next number, and the
 * history holds the changes in that order. The history is bounded; who asks for changes older than it holds lists anew.
 */
export interface ClusterObjects extends AsyncDisposable {
  /** Fails with kind `already-exists`. Resolves to the version. */
  create(key: string, json: string): Promise<number>
  get(key: string): Promise<ObjectRecord | null>
  /** Everything, with the version the list is of. */
  list(): Promise<{ version: number; records: ObjectRecord[] }>
  /** Compare and set: fails with kind `conflict` unless the object's version is the expected one, `not-found` if gone. */
  update(key: string, json: string, expectedVersion: number): Promise<number>
  /** `json` is the object's last state, for the history. Fails as `update` does. */
  delete(key: string, json: string, expectedVersion: number): Promise<number>
  /** The kept changes after a version, oldest first. */
  history(afterVersion: number): Promise<ObjectRecordChange[]>
  /** The kept changes after a version, then what comes, until the signal aborts. */
  watch(afterVersion: number, signal: AbortSignal): AsyncIterable<ObjectRecordChange>
}

const HISTORY_LENGTH = 4000
const WRITTEN = [keys.clusterObjects, keys.clusterVersion, keys.clusterHistory]

/** Opens the objects. While Redis is away calls wait for it to come back. */
export async function openClusterObjects(redisUrl: string): Promise<ClusterObjects> {
  const open = () => connect(redisUrl, { maxRetriesPerRequest: null })
  const redis = open()
  const write = async (kind: ObjectRecordChange['kind'], record: ObjectRecord): Promise<number> => {
    const expected = kind === 'created' ? '' : String(record.version)
    const args = [kind, record.key, record.json, expected, HISTORY_LENGTH]
    const reply = await runScript<number>(redis, 'write-object', WRITTEN, args)
    return reply > 0 ? reply : await settle(redis, kind, record, reply)
  }
  return {
    create: async (key, json) => write('created', { key, json, version: 0 }),
    update: async (key, json, version) => write('updated', { key, json, version }),
    delete: async (key, json, version) => write('deleted', { key, json, version }),
    get: async (key) => {
      const value = await redis.hget(keys.clusterObjects, key)
      return value === null ? null : toRecord(key, value)
    },
    list: async () => list(redis),
    history: async (after) => (await redis.xrange(keys.clusterHistory, `(${after}-0`, '+')).map(toChange),
    watch: (after, signal) => watch(open, after, signal),
    [Symbol.asyncDispose]: async () => disconnect(redis),
  }
}

/** After a lost connection the client sends a write again: a refusal then may be our own earlier write. */
async function settle(redis: Redis, kind: ObjectRecordChange['kind'], record: ObjectRecord, reply: number) {
  const [latest] = (await redis.xrevrange(keys.clusterHistory, '+', '-', 'COUNT', 1)).map(toChange)
  if (latest?.kind === kind && latest.key === record.key && latest.json === record.json) return latest.version
  const what = `Object ${record.key} could not be ${kind}`
  if (reply === -1) throw new SlipwayError('already-exists', `${what}: it exists already`)
  if (reply === -2) throw new SlipwayError('not-found', `${what}: it does not exist`)
  throw new SlipwayError('conflict', `${what}: expected version ${record.version}, found another`)
}

async function list(redis: Redis): Promise<{ version: number; records: ObjectRecord[] }> {
  const replies = await redis.multi().get(keys.clusterVersion).hgetall(keys.clusterObjects).exec()
  const [version, objects] = (replies ?? []).map(([error, value]) => {
    if (error) throw error
    return value
  })
  const records = Object.entries((objects ?? {}) as Record<string, string>).map(([key, value]) => toRecord(key, value))
  return { version: Number(version ?? 0), records }
}

async function* watch(open: () => Redis, after: number, signal: AbortSignal): AsyncIterable<ObjectRecordChange> {
  const redis = open()
  const stop = () => redis.disconnect()
  signal.addEventListener('abort', stop, { once: true })
  try {
    for (let last = `${after}-0`; !signal.aborted; ) {
      const replies = await redis.xread('BLOCK', 0, 'STREAMS', keys.clusterHistory, last)
      for (const [id, fields] of replies?.[0]?.[1] ?? []) {
        yield toChange([id, fields])
        last = id
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    signal.removeEventListener('abort', stop)
    redis.disconnect()
  }
}

function toRecord(key: string, value: string): ObjectRecord {
  const space = value.indexOf(' ')
  return { key, version: Number(value.slice(0, space)), json: value.slice(space + 1) }
}

function toChange([id, fields]: [string, string[]]): ObjectRecordChange {
  const [, kind = '', , key = '', , json = ''] = fields
  return { kind: kind as ObjectRecordChange['kind'], key, json, version: Number.parseInt(id, 10) }
}
