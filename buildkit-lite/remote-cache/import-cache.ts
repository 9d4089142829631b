import { SlipwayError } from '#domain/errors'
import type { BuildTools, StepCache } from '../contract.ts'
import type { CacheSource } from './contract.ts'

/**
 * The cache of `tools` with the steps of others below it, to be built with in its place. Only what is known of the
 * steps is read; layers are fetched by whoever needs their files. A source that cannot be read is warned of.
 */
export async function importCaches(
  _sources: readonly CacheSource[],
  _tools: Pick<BuildTools, 'cache' | 'blobs' | 'registry'>,
  _warn: (message: string) => void,
  _signal: AbortSignal,
): Promise<StepCache> {
  throw new SlipwayError('unsupported', 'Caches cannot be imported yet')
}
