import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import { z } from 'zod'
import type { Grant, Tokens } from './contract.ts'
import { keys } from './keys.ts'

const StoredToken = z.object({
  grant: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('admin') }),
    z.object({
      kind: z.literal('registry'),
      repository: z.string(),
      actions: z.array(z.enum(['pull', 'push'])),
      alsoPull: z.array(z.string()).optional(),
    }),
  ]),
  label: z.string(),
  issuedAtMs: z.number(),
})

/**
 * A token is found by its SHA-256 alone: the same work for a right and a wrong one, and nothing to compare that could
 * be timed. Redis lets expired ones go.
 */
export function createTokens(redis: Redis): Tokens {
  const keep = async (token: string, grant: Grant, label: string, ttlMs: number | null) => {
    const stored = JSON.stringify({ grant, label, issuedAtMs: Date.now() })
    if (ttlMs === null) await redis.set(keys.token(token), stored)
    else await redis.set(keys.token(token), stored, 'PX', ttlMs)
  }
  return {
    async issue(grant, label, ttlMs) {
      const token = `slp_${randomBytes(32).toString('base64url')}`
      await keep(token, grant, label, ttlMs)
      return token
    },
    async check(token) {
      const stored = await redis.get(keys.token(token))
      if (stored === null) return null
      const { grant } = StoredToken.parse(JSON.parse(stored))
      if (grant.kind === 'admin') return grant
      const { alsoPull, ...rest } = grant
      return alsoPull ? { ...rest, alsoPull } : rest
    },
    adopt: (token, grant, label) => keep(token, grant, label, null),
    async revoke(token) {
      await redis.del(keys.token(token))
    },
  }
}
