import { type CacheSource, type CacheTarget, readCacheSource, readCacheTarget } from '#buildkit-lite'
import { messageOf } from '#domain/errors'
import { UsageError } from './exit-codes.ts'
import { readFields } from './flag-values.ts'

/** `--cache-from`: `type=registry,ref=NAME`, `type=local,src=DIRECTORY`, or an image's name alone. */
export function readCacheSources(values: readonly string[]): CacheSource[] {
  return values.map((value) => readPlace('--cache-from', value, readCacheSource))
}

/** `--cache-to`: `type=inline`, `type=registry,ref=NAME` or `type=local,dest=DIRECTORY`, or a name alone. */
export function readCacheTargets(values: readonly string[]): CacheTarget[] {
  return values.map((value) => readPlace('--cache-to', value, readCacheTarget))
}

function readPlace<T>(
  flag: string,
  value: string,
  read: (place: { type: string; fields: Record<string, string> }) => T,
): T {
  const { type = '', ...fields } = value.includes('=') ? readFields(value) : readAlone(value)
  try {
    return read({ type, fields })
  } catch (error) {
    throw new UsageError(`${flag} "${value}": ${messageOf(error)}`)
  }
}

function readAlone(value: string): Record<string, string> {
  return value === 'inline' ? { type: 'inline' } : { type: 'registry', ref: value }
}
