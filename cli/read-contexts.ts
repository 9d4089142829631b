import { type NamedContext, openDirectoryContext } from '#buildkit-lite'
import { readPairs } from './build-flags.ts'
import { UsageError } from './exit-codes.ts'

/** The further contexts; directories are opened, and closed with `stack`. */
export async function readContexts(
  flags: readonly string[],
  stack: AsyncDisposableStack,
): Promise<Record<string, NamedContext>> {
  const contexts: Record<string, NamedContext> = {}
  for (const [name, place] of Object.entries(readPairs('--build-context', flags))) {
    if (place.startsWith('oci-layout://')) contexts[name] = readLayout(place.slice('oci-layout://'.length))
    else if (place.startsWith('docker-image://'))
      contexts[name] = { kind: 'image', reference: place.slice('docker-image://'.length) }
    else if (place.includes('://')) throw new UsageError(`--build-context ${name}=${place} is not supported yet`)
    else contexts[name] = { kind: 'context', context: stack.use(await openDirectoryContext(place)) }
  }
  return contexts
}

/** `PLACE`, `PLACE:TAG` or `PLACE@sha256:…`; the place is a directory or a tar. */
function readLayout(place: string): NamedContext {
  const at = place.indexOf('@')
  if (at >= 0) return { kind: 'oci-layout', path: place.slice(0, at), reference: place.slice(at + 1) }
  const [, path = place, tag] = /^(.*?)(?::([\w][\w.-]*))?$/.exec(place) ?? []
  return { kind: 'oci-layout', path, reference: tag ?? null }
}
