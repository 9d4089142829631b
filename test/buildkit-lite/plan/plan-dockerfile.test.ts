import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { SlipwayError, SourceError } from '#domain/errors'
import { parseDockerfile } from '../../../buildkit-lite/dockerfile/parse.ts'
import type { ImageConfig } from '../../../buildkit-lite/image/config.ts'
import type { ImageResolver, Plan, Platform } from '../../../buildkit-lite/plan/plan.ts'
import { planDockerfile } from '../../../buildkit-lite/plan/plan-dockerfile.ts'
import type { PlanInput } from '../../../buildkit-lite/plan/plan-input.ts'

/** A Dockerfile and what a widely used builder made of it: config and history, or the error with its excerpt. */
interface Case {
  id: string
  title: string
  dockerfile: string
  options: Record<string, string>
  error?: string
  excerpt?: string[]
  config?: object
  author?: string | null
  history?: { created_by: string; comment: string; empty_layer?: boolean }[]
}

const signal = new AbortController().signal
const amd64: Platform = { os: 'linux', architecture: 'amd64' }

const baseConfig: ImageConfig = {
  architecture: 'amd64',
  os: 'linux',
  created: '2026-01-01T00:00:00Z',
  config: {
    Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
    Cmd: ['sh'],
    WorkingDir: '/',
    ArgsEscaped: true,
  },
  rootfs: { type: 'layers', diff_ids: [] },
  history: [
    { created_by: 'ADD rootfs.tar / # buildkit', comment: 'buildkit.dockerfile.v0' },
    {
      created_by: 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      comment: 'buildkit.dockerfile.v0',
      empty_layer: true,
    },
    { created_by: 'CMD ["sh"]', comment: 'buildkit.dockerfile.v0', empty_layer: true },
  ],
}

/** Knows the images it is given and counts what it was asked for. */
function resolverOf(images: Record<string, ImageConfig>): ImageResolver & { asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    async resolve(reference) {
      asked.push(reference)
      const config = images[reference]
      if (!config) throw new SlipwayError('pull-not-found', `Image ${reference} was not found`)
      return { reference, manifestDigest: `sha256:${'a'.repeat(64)}`, config, layers: [], source: 'test' }
    },
  }
}

function plan(text: string, input: Partial<PlanInput> = {}): Promise<Plan> {
  const rest = {
    target: null,
    buildArgs: {},
    labels: {},
    platform: amd64,
    buildPlatform: amd64,
    network: 'default' as const,
    namedContexts: {},
    resolver: resolverOf({ base: baseConfig }),
  }
  return Promise.resolve().then(() =>
    planDockerfile({ ...rest, ...input, dockerfile: parseDockerfile(text, 'Dockerfile') }, signal),
  )
}

function optionsWith(prefix: string, options: Record<string, string>): Record<string, string> {
  const own = Object.entries(options).filter(([key]) => key.startsWith(prefix))
  return Object.fromEntries(own.map(([key, value]) => [key.slice(prefix.length), value]))
}

const cases = JSON.parse(
  await readFile(new URL('../../fixtures/dockerfile-plans.json', import.meta.url), 'utf8'),
) as Case[]

/** Errors that need files, secrets or a running step: the planner has nothing against these. */
const FOUND_LATER = ['E02', 'E03', 'E08', 'E11', 'E12']

const planCase = (item: Case) =>
  plan(item.dockerfile, {
    target: item.options['target'] ?? null,
    buildArgs: optionsWith('build-arg:', item.options),
    labels: optionsWith('label:', item.options),
  })

describe('images that another builder made', () => {
  test.for(cases.filter((item) => item.config))('$id $title', async (item) => {
    const { target } = await planCase(item)
    expect(target.config.config).toEqual(item.config)
    expect(target.config.author ?? null).toBe(item.author)
    expect(target.history.map(({ entry }) => entry)).toEqual(item.history)
    const steps = target.history.filter(({ step }) => step !== null)
    const fromBase = target.history.length - steps.length
    expect(fromBase + steps.length).toBe(item.history?.length)
    expect(steps.every(({ entry }) => !entry.empty_layer)).toBe(true)
  })
})

describe('mistakes that another builder reported', () => {
  test.for(cases.filter((item) => item.error && !FOUND_LATER.includes(item.id)))('$id $title', async (item) => {
    const error = await planCase(item).then(
      () => null,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(SourceError)
    if (!(error instanceof SourceError)) return
    expect(error.kind).toBe('dockerfile-invalid')
    expect(error.message).toContain(item.error)
    if (item.excerpt) expect(error.excerpt.split('\n')).toEqual(item.excerpt)
  })
})
