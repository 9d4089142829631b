import { type FetchOptions, type NamedContext, openDirectoryContext, parseGitUrl } from '#buildkit-lite'
import { messageOf, SlipwayError } from '#domain/errors'
import { parseImageReference } from '#domain/image-reference'
import { UsageError } from './exit-codes.ts'
import { readPairs } from './flag-values.ts'
import { contentIndexDir, isRemote, openContext } from './open-context.ts'

const LAYOUT = 'oci-layout://'
const IMAGE = 'docker-image://'
/** A file that is no archive is all that such a context has. */
const FILE_NAME = 'context'

/** The further contexts of `--build-context NAME=PLACE`; what is opened for them is closed with `stack`. */
export async function readContexts(
  flags: readonly string[],
  options: Omit<FetchOptions, 'dockerfile'>,
  stack: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<Record<string, NamedContext>> {
  const contexts: Record<string, NamedContext> = {}
  for (const [name, place] of Object.entries(readPairs('--build-context', flags))) {
    if (place.startsWith(LAYOUT)) contexts[name] = readLayout(place.slice(LAYOUT.length))
    else if (place.startsWith(IMAGE)) contexts[name] = readImage(name, place)
    else contexts[name] = { kind: 'context', context: stack.use(await openNamed(name, place, options, signal)) }
  }
  return contexts
}

/** Whether a further context is fetched, and so needs a place for its files. */
export function hasFetched(flags: readonly string[]): boolean {
  return flags.some((flag) => {
    const place = flag.slice(flag.indexOf('=') + 1)
    return !place.startsWith(LAYOUT) && !place.startsWith(IMAGE) && place !== '-' && isRemote(place)
  })
}

async function openNamed(name: string, place: string, options: Omit<FetchOptions, 'dockerfile'>, signal: AbortSignal) {
  const wrong = (why: string) => new UsageError(`--build-context ${name}=${place} ${why}`)
  if (place === '' || place === '-') throw wrong('names no place')
  const scheme = /^([a-z][a-z0-9+-]*):\/\//i.exec(place)?.[1]
  if (scheme !== undefined && !/^https?$/i.test(scheme) && !parseGitUrl(place, { local: true }))
    throw wrong('is of no kind that is known: expected a directory, oci-layout://, docker-image://, git or http')
  if (isRemote(place)) return await openContext(place, { ...options, fileName: FILE_NAME }, signal)
  try {
    return await openDirectoryContext(place, { indexDir: contentIndexDir(options.tools.stateDir) })
  } catch (error) {
    if (error instanceof SlipwayError && error.kind === 'context-invalid')
      throw wrong(`cannot be used: ${error.message}`)
    throw error
  }
}

function readImage(name: string, place: string): NamedContext {
  const reference = place.slice(IMAGE.length)
  try {
    parseImageReference(reference)
  } catch (error) {
    throw new UsageError(`--build-context ${name}=${place}: ${messageOf(error)}`)
  }
  return { kind: 'image', reference }
}

/** `PLACE`, `PLACE:TAG` or `PLACE@sha256:…`; the place is a directory or a tar. */
function readLayout(place: string): NamedContext {
  const at = place.indexOf('@')
  if (at >= 0) return { kind: 'oci-layout', path: place.slice(0, at), reference: place.slice(at + 1) }
  const [, path = place, tag] = /^(.*?)(?::([\w][\w.-]*))?$/.exec(place) ?? []
  return { kind: 'oci-layout', path, reference: tag ?? null }
}
