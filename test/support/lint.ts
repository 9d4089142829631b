import { SlipwayError } from '#domain/errors'
import { compileIgnore } from '../../buildkit-lite/context/ignore.ts'
import { parseDockerfile } from '../../buildkit-lite/dockerfile/parse.ts'
import type { ImageConfig } from '../../buildkit-lite/image/config.ts'
import { openLinter } from '../../buildkit-lite/lint/linter.ts'
import { planDockerfile } from '../../buildkit-lite/plan/plan-dockerfile.ts'

const amd64 = { os: 'linux', architecture: 'amd64' }

export interface LintSettings {
  buildArgs?: Record<string, string>
  target?: string
  /** As `--check` without a target does. */
  allStages?: boolean
  /** Lines of `.dockerignore`. */
  ignore?: string[]
  /** Configs of images by name; `base` is always there. */
  images?: Record<string, Partial<ImageConfig>>
}

/** What the rules say of a Dockerfile, each as `line rule: message`, and the error that ends its planning. */
export async function lint(
  text: string,
  settings: LintSettings = {},
): Promise<{ said: string[]; error: string | null }> {
  const { buildArgs = {}, target = null, allStages = false, ignore, images = {} } = settings
  const linter = openLinter({ buildArgs })
  const said = () => linter.warnings.map(({ line, rule, message }) => `${line} ${rule}: ${message}`)
  try {
    const dockerfile = parseDockerfile(text, 'Dockerfile', linter)
    linter.readFile(dockerfile)
    linter.useIgnoreFile(ignore ? compileIgnore(ignore) : null)
    const place = { platform: amd64, buildPlatform: amd64, network: 'default' as const, namedContexts: {}, labels: {} }
    const resolver = { resolve: async (reference: string) => resolveIn({ base: {}, ...images }, reference) }
    const input = { dockerfile, target, buildArgs, resolver, lint: linter, allStages, ...place }
    await planDockerfile(input, new AbortController().signal)
    return { said: said(), error: linter.failure()?.message ?? null }
  } catch (error) {
    if (!(error instanceof SlipwayError)) throw error
    return { said: said(), error: error.message }
  }
}

function resolveIn(images: Record<string, Partial<ImageConfig>>, reference: string) {
  const own = images[reference]
  if (!own) throw new SlipwayError('pull-not-found', `Image ${reference} was not found`)
  const config = { ...amd64, rootfs: { type: 'layers' as const, diff_ids: [] }, ...own }
  return { reference, manifestDigest: `sha256:${'a'.repeat(64)}`, config, layers: [], source: 'test' }
}
