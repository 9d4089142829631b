import { SlipwayError } from '#domain/errors'
import { parseDockerfile } from '../../../buildkit-lite/dockerfile/parse.ts'
import type { ImageConfig, RuntimeConfig } from '../../../buildkit-lite/image/config.ts'
import type { ImageResolver, Plan, Platform } from '../../../buildkit-lite/plan/plan.ts'
import { planDockerfile } from '../../../buildkit-lite/plan/plan-dockerfile.ts'
import type { PlanInput } from '../../../buildkit-lite/plan/plan-input.ts'

const signal = new AbortController().signal
export const amd64: Platform = { os: 'linux', architecture: 'amd64' }
export const arm64: Platform = { os: 'linux', architecture: 'arm64' }
export const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export const imageOf = (config: RuntimeConfig = {}, more: Partial<ImageConfig> = {}): ImageConfig => ({
  architecture: 'amd64',
  os: 'linux',
  config: { Env: [PATH], Cmd: ['sh'], WorkingDir: '/', ...config },
  rootfs: { type: 'layers', diff_ids: [] },
  history: [],
  ...more,
})

/** Knows the images it is given, and remembers what it was asked for and for which platform. */
export function resolverOf(images: Record<string, ImageConfig>): ImageResolver & { asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    async resolve(reference, platform) {
      asked.push([reference, platform.architecture, platform.variant].filter(Boolean).join(' '))
      const config = images[reference]
      if (!config) throw new SlipwayError('pull-not-found', `Image ${reference} was not found`)
      return { reference, manifestDigest: `sha256:${'a'.repeat(64)}`, config, layers: [], source: 'test' }
    },
  }
}

export async function plan(text: string, input: Partial<PlanInput> = {}): Promise<Plan> {
  const rest = {
    target: null,
    buildArgs: {},
    labels: {},
    platform: amd64,
    buildPlatform: amd64,
    network: 'default' as const,
    namedContexts: {},
    resolver: resolverOf({ base: imageOf() }),
  }
  return await planDockerfile({ ...rest, ...input, dockerfile: parseDockerfile(text, 'Dockerfile') }, signal)
}

/** What the last RUN sees, without the default path. */
export function lastEnv({ steps }: Plan): string[] {
  const operation = steps.findLast((step) => step.operation.kind === 'run')?.operation
  return operation?.kind === 'run' ? operation.env.filter((one) => one !== PATH) : []
}

/** The new lines of the history, `-` in front of those without a layer. */
export function historyOf({ target }: Plan): string[] {
  return target.history.map(({ entry, step }) => `${step === null ? '- ' : ''}${entry.created_by}`)
}

export function configOf({ target }: Plan): RuntimeConfig {
  return target.config.config ?? {}
}
