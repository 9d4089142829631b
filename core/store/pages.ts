import type { Redis } from 'ioredis'
import { SlipwayError } from '#domain/errors'
import type { Page } from './contract.ts'

export interface PageRequest<T> {
  /** A sorted set of ids by sequence. */
  key: string
  /** What `next` of the page before said. */
  cursor: string | null
  limit: number
  load: (ids: string[]) => Promise<(T | null)[]>
  /** What belongs to the list; everything if not given. */
  keep?: (item: T) => boolean
}

const MAX_PAGE = 200

/** A page of a sorted set, newest first. */
export async function readPage<T>(redis: Redis, request: PageRequest<T>): Promise<Page<T>> {
  const limit = Math.max(1, Math.min(request.limit, MAX_PAGE))
  const items: T[] = []
  let cursor = readCursor(request.cursor)
  for (;;) {
    const rows = await redis.zrevrangebyscore(request.key, cursor, '-inf', 'WITHSCORES', 'LIMIT', 0, limit)
    const ids = rows.filter((_, index) => index % 2 === 0)
    const loaded = await request.load(ids)
    for (const [index, item] of loaded.entries()) {
      cursor = `(${rows[2 * index + 1]}`
      if (item === null || !(request.keep?.(item) ?? true)) continue
      items.push(item)
      if (items.length === limit) return { items, next: cursor.slice(1) }
    }
    if (ids.length < limit) return { items, next: null }
  }
}

function readCursor(cursor: string | null): string {
  if (cursor === null) return '+inf'
  if (!/^\d{1,15}$/.test(cursor)) throw new SlipwayError('invalid', `"${cursor}" is not a cursor of this list`)
  return `(${cursor}`
}
