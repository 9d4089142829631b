import { posix } from 'node:path'
import { SlipwayError } from '#domain/errors'
import type { BuildRequest } from './contract.ts'
import { type ParsedDockerfile, parseDockerfile } from './dockerfile/parse.ts'
import type { Linter } from './lint/linter.ts'

const DEFAULT_NAME = 'Dockerfile'
export const MAX_DOCKERFILE_BYTES = 4 * 1024 * 1024

/** The Dockerfile of a build, from its context or as it was handed in. */
export async function readDockerfile(
  request: Pick<BuildRequest, 'dockerfile' | 'context'> & Partial<Pick<BuildRequest, 'buildArgs'>> & { lint?: Linter },
  signal: AbortSignal,
): Promise<ParsedDockerfile> {
  const { dockerfile, context, buildArgs = {}, lint } = request
  // It goes before the frontend that the file itself asks for.
  const syntax = buildArgs['BUILDKIT_SYNTAX'] || null
  const parse = (text: string, name: string): ParsedDockerfile => {
    const parsed = parseDockerfile(text, name, lint, syntax)
    lint?.readFile(parsed)
    return parsed
  }
  if ('text' in dockerfile) return parse(dockerfile.text, dockerfile.name)
  for (const name of dockerfileNames(dockerfile.path)) {
    const bytes = await context.readFile(name, MAX_DOCKERFILE_BYTES, signal)
    if (bytes) return parse(bytes.toString('utf8'), name)
  }
  throw missingDockerfile(dockerfile.path)
}

/** Where a Dockerfile may lie: the default name may also be written in small letters. */
export function dockerfileNames(path: string): string[] {
  const { dir, base } = posix.parse(path)
  return base === DEFAULT_NAME ? [path, posix.join(dir, base.toLowerCase())] : [path]
}

/** In the words that other builders have for it. */
export function missingDockerfile(path: string, cause?: unknown): SlipwayError {
  const message = `failed to read dockerfile: open ${path}: no such file or directory. Another name is given with -f, or in the rule of the project`
  return new SlipwayError('dockerfile-invalid', message, cause === undefined ? {} : { cause })
}
