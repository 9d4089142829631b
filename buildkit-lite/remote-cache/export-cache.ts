import { SlipwayError } from '#domain/errors'
import type { BuiltGraph } from '../built-result.ts'
import type { ImageTools } from '../write-image.ts'
import type { CacheTarget } from './contract.ts'

/** Writes the steps of what was built to where others can take them from. What may fail by its form is warned of. */
export async function exportCaches(
  _graphs: readonly BuiltGraph[],
  _targets: readonly CacheTarget[],
  _work: { tools: ImageTools; warn: (message: string) => void },
  _signal: AbortSignal,
): Promise<void> {
  throw new SlipwayError('unsupported', 'Caches cannot be exported yet')
}
