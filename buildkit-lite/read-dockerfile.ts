import { SlipwayError } from '#domain/errors'
import type { BuildRequest } from './contract.ts'
import { type ParsedDockerfile, parseDockerfile } from './dockerfile/parse.ts'
import type { Linter } from './lint/linter.ts'

const DEFAULT_NAME = 'Dockerfile'
export const MAX_DOCKERFILE_BYTES = 4 * 1024 * 1024

/** The Dockerfile of a build, from its context or as it was handed in. */
export async function readDockerfile(
  { dockerfile, context, lint }: Pick<BuildRequest, 'dockerfile' | 'context'> & { lint?: Linter },
  signal: AbortSignal,
): Promise<ParsedDockerfile> {
  if ('text' in dockerfile) return parse(dockerfile.text, dockerfile.name, lint)
  for (const name of dockerfileNames(dockerfile.path)) {
    const bytes = await context.readFile(name, MAX_DOCKERFILE_BYTES, signal)
    if (bytes) return parse(bytes.toString('utf8'), name, lint)
  }
  throw missingDockerfile(dockerfile.path)
}

function parse(text: string, name: string, lint: Linter | undefined): ParsedDockerfile {
  const dockerfile = parseDockerfile(text, name, lint)
  lint?.readFile(dockerfile)
  return dockerfile
}

/** Where a Dockerfile may lie: the default name may also be written in small letters. */
export function dockerfileNames(path: string): string[] {
  return path === DEFAULT_NAME ? [path, path.toLowerCase()] : [path]
}

/** In the words that other builders have for it. */
export function missingDockerfile(path: string, cause?: unknown): SlipwayError {
  const message = `failed to read dockerfile: open ${path}: no such file or directory`
  return new SlipwayError('dockerfile-invalid', message, cause === undefined ? {} : { cause })
}
