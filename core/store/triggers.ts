import { createHash, randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'
import { SlipwayError } from '#domain/errors'
import type { ProjectName } from '#domain/ids'
import { TriggerToken } from '#domain/trigger-token'
import { newId } from '#host/new-id'
import type { Triggers } from './contract.ts'
import { keys } from './keys.ts'

const MAX_PER_PROJECT = 32

/** Tokens of trigger URLs: a hash per project, with the SHA-256 of a token as the field, so that none can be read out. */
export function createTriggers(redis: Redis): Triggers {
  const list = async (project: ProjectName): Promise<{ field: string; token: TriggerToken }[]> => {
    const stored = await redis.hgetall(keys.projectTriggers(project))
    return Object.entries(stored).map(([field, record]) => ({ field, token: TriggerToken.parse(JSON.parse(record)) }))
  }
  return {
    async create(project, label, nowMs) {
      if ((await list(project)).length >= MAX_PER_PROJECT)
        throw new SlipwayError('conflict', `Project ${project} has ${MAX_PER_PROJECT} trigger tokens, revoke one first`)
      const secret = randomBytes(24).toString('base64url')
      const token: TriggerToken = { id: TriggerToken.shape.id.parse(newId('trg', nowMs)), label, createdAtMs: nowMs }
      await redis.hset(keys.projectTriggers(project), hashOf(secret), JSON.stringify(token))
      return { ...token, secret }
    },
    async list(project) {
      const tokens = (await list(project)).map(({ token }) => token)
      return tokens.sort((a, b) => a.createdAtMs - b.createdAtMs)
    },
    async check(project, secret) {
      const record = await redis.hget(keys.projectTriggers(project), hashOf(secret))
      return record === null ? null : TriggerToken.parse(JSON.parse(record))
    },
    async revoke(project, id) {
      const found = (await list(project)).find(({ token }) => token.id === id)
      return found ? (await redis.hdel(keys.projectTriggers(project), found.field)) === 1 : false
    },
  }
}

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}
