import { readFile } from 'node:fs/promises'
import { basename, isAbsolute, relative, resolve } from 'node:path'
import { addAbortSignal } from 'node:stream'
import { text } from 'node:stream/consumers'
import { type BuildRequest, dockerfileNames, missingDockerfile } from '#buildkit-lite'
import { messageOf, SlipwayError } from '#domain/errors'
import { UsageError } from './exit-codes.ts'
import { isRemote } from './open-context.ts'

export const DEFAULT_DOCKERFILE = 'Dockerfile'

export interface FoundDockerfile {
  dockerfile: BuildRequest['dockerfile']
  /** The ignore file next to a Dockerfile outside of the context, which goes before the context's own. */
  ignoreFile?: { dockerfile: string; content: Buffer }
}

/** `-f`: relative to the working directory, as with `docker build`; it need not lie in the context. */
export async function findDockerfile(
  place: string,
  file: string | undefined,
  signal: AbortSignal,
): Promise<FoundDockerfile> {
  if (file === undefined) return { dockerfile: { path: DEFAULT_DOCKERFILE } }
  if (file === '-') {
    if (place === '-') throw new UsageError('the context and the Dockerfile cannot both come from standard input')
    return { dockerfile: { name: DEFAULT_DOCKERFILE, text: await text(addAbortSignal(signal, process.stdin)) } }
  }
  if (isRemote(place)) return { dockerfile: { path: file } }
  const inside = relative(resolve(place), resolve(file))
  const isInside = inside !== '' && inside !== '..' && !inside.startsWith('../') && !isAbsolute(inside)
  return isInside ? { dockerfile: { path: inside } } : await readOutside(file)
}

async function readOutside(file: string): Promise<FoundDockerfile> {
  for (const path of dockerfileNames(file)) {
    const content = await readIfThere(path)
    if (content === null) continue
    const dockerfile = { name: basename(path), text: content.toString('utf8') }
    const ignored = await readIfThere(`${path}.dockerignore`)
    if (ignored === null) return { dockerfile }
    return { dockerfile, ignoreFile: { dockerfile: dockerfile.name, content: ignored } }
  }
  throw missingDockerfile(file)
}

async function readIfThere(path: string): Promise<Buffer | null> {
  return await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
    throw new SlipwayError('dockerfile-invalid', `failed to read dockerfile ${path}: ${messageOf(error)}`)
  })
}
