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

async function failure(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => expect.unreachable('it should have failed'),
    (thrown: unknown) => thrown,
  )
}

describe('mistakes that planning finds, with their line', () => {
  test.for([
    ['FROM $X', 1, 'base name ($X) should not be blank'],
    ['FROM --platform=vax base', 1, 'failed to parse platform vax: "vax": unknown operating system or architecture'],
    ['FROM --platform=$NO base', 1, 'empty platform value from expression $NO'],
    ['FROM Not/Valid!', 1, 'failed to parse stage name "Not/Valid!"'],
    ['FROM base\nCOPY --from=7 a /b', 2, 'invalid stage index 7'],
    ['FROM base AS a\nCOPY --from=a x /x', 2, 'circular dependency detected on stage: a'],
    [
      'FROM base AS first\nCOPY --from=later /x /x\nFROM base AS later\nFROM first',
      2,
      'cannot copy from stage "later", it needs to be defined before current stage "first"',
    ],
    ['FROM base\nCOPY https://example.org/x /x', 2, "source can't be a URL for COPY"],
    ['FROM base\nCOPY https://example.org/x.git /x', 2, "source can't be a git ref for COPY"],
    ['FROM base\nADD https://example.org/x.git?mood=good /x', 2, 'unexpected query "mood"'],
    ['FROM base\nADD --checksum=sha256:12 https://example.org/x /x', 2, 'invalid checksum "sha256:12"'],
    [`FROM base\nADD --checksum=sha256:${'0'.repeat(64)} f /x`, 2, 'checksum requires HTTP(S) or Git sources'],
    [
      'FROM base\nADD --checksum=abcdef0 git://h/x git://h/y /x/',
      2,
      "checksum can't be specified for multiple sources",
    ],
    ['FROM base\nADD --checksum=sha256:1 x /x', 2, 'checksum requires HTTP(S) or Git sources'],
    ['FROM base\nCOPY --chmod=17777 a /b', 2, "invalid chmod parameter: '17777'"],
    ['FROM base\nENV A="x\nRUN y', 2, 'unexpected end of statement while looking for matching double-quote'],
    ['FROM base\nEXPOSE abc', 2, 'invalid containerPort: abc'],
    ['FROM base\nEXPOSE 80/foo', 2, 'invalid proto: foo'],
    ['FROM base\nEXPOSE 70000', 2, 'invalid containerPort: 70000'],
    ['FROM base\nSTOPSIGNAL SIGNOPE', 2, 'invalid signal: SIGNOPE'],
    ['FROM base\nSTOPSIGNAL 0', 2, 'invalid signal: 0'],
    ['FROM base\nRUN --mount=type=foo x', 2, 'unsupported mount type "foo"'],
    ['FROM base\nRUN --mount=type=tmpfs,target=/ x', 2, 'invalid mount target "/"'],
    ['FROM base\nRUN --mount=size=1,type=tmpfs,target=/t x', 2, "unexpected key 'size' for mount type 'bind'"],
    ['FROM base\nRUN --mount=type=cache,targt=/t x', 2, "unexpected key 'targt' in 'targt=/t' (did you mean target?)"],
    ['FROM base\nRUN --mount=foo,target=/x x', 2, "invalid field 'foo' must be a key=value pair"],
    ['FROM base\nRUN --mount=target x', 2, "invalid field 'target' must be a key=value pair"],
    ['FROM base\nRUN --mount=from=$X,target=/t x', 2, "'from' doesn't support variable expansion"],
    ['FROM base\nRUN --mount=type=bind,target=/t,mode=0700 x', 2, 'mode not allowed for "bind" type mounts'],
    ['FROM base\nRUN --mount=target=/a --mount=target=/a x', 2, 'two mounts have the same target "/a"'],
    ['FROM base AS a\nONBUILD RUNN x\nFROM a', 3, 'unknown instruction: RUNN (did you mean RUN?)'],
  ] as const)('%j', async ([text, line, message]) => {
    const error = await failure(plan(text))
    expect(error).toMatchObject({ kind: 'dockerfile-invalid', line })
    expect((error as Error).message).toContain(message)
  })
})

describe('which images are resolved', () => {
  test('only those the target needs, each once, all of them before any step is planned', async () => {
    const resolver = resolverOf({ base: baseConfig, tool: baseConfig })
    const text = 'FROM nowhere AS x\nFROM base AS a\nFROM base AS b\nCOPY --from=tool /t /t\nFROM b\nCOPY --from=a / /'
    const { steps } = await plan(text, { resolver })
    expect(resolver.asked.toSorted()).toEqual(['base', 'tool'])
    expect(steps.filter((step) => step.operation.kind === 'base').map((step) => step.title)).toEqual([
      'FROM base',
      'FROM tool',
    ])
  })

  test('in parallel', async () => {
    let open = 0
    const { promise, resolve } = Promise.withResolvers<void>()
    const resolver: ImageResolver = {
      async resolve(reference) {
        if (++open === 2) resolve()
        await promise
        return { reference, manifestDigest: 'sha256:0', config: baseConfig, layers: [], source: 'test' }
      },
    }
    const { steps } = await plan('FROM one AS a\nFROM two\nCOPY --from=a / /', { resolver })
    expect(steps).toHaveLength(3)
  })

  test('for the platform of their stage', async () => {
    const asked: string[] = []
    const resolver: ImageResolver = {
      async resolve(reference, platform) {
        asked.push(`${reference} ${platform.architecture}${platform.variant ?? ''}`)
        return { reference, manifestDigest: 'sha256:0', config: baseConfig, layers: [], source: 'test' }
      },
    }
    const text =
      'FROM --platform=$BUILDPLATFORM one AS a\nFROM --platform=linux/arm/v6 one AS b\nFROM one\nCOPY --from=a / /\nCOPY --from=b / /'
    await plan(text, { resolver, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } })
    expect(asked.toSorted()).toEqual(['one amd64', 'one arm64', 'one armv6'])
  })

  test('one that is not there is shown where it is named', async () => {
    const error = await failure(plan('FROM base AS a\n\nFROM gone\nCOPY --from=a / /'))
    expect(error).toMatchObject({ kind: 'pull-not-found', line: 3, message: 'Image gone was not found' })
    expect((error as SourceError).excerpt).toContain('3 | >>> FROM gone')
  })
})

describe('named contexts', () => {
  test('an image replaces a stage, another image and a name in --from', async () => {
    const resolver = resolverOf({ base: baseConfig, other: baseConfig })
    const namedContexts = {
      built: { kind: 'image', reference: 'other' },
      'docker.io/library/alpine:3': { kind: 'image', reference: 'other' },
    } as const
    const text = 'FROM base AS built\nRUN never\nFROM alpine:3\nCOPY --from=built / /\nCOPY --from=alpine:3 / /'
    const { steps } = await plan(text, { resolver, namedContexts })
    expect(resolver.asked).toEqual(['other'])
    expect(steps.map((step) => step.operation.kind)).toEqual(['base', 'copy', 'copy'])
  })

  test('a resolver of its own answers for it', async () => {
    const own = resolverOf({ inside: baseConfig })
    const { steps } = await plan('FROM layout', {
      namedContexts: { layout: { kind: 'image', reference: 'inside', resolver: own } },
    })
    expect(own.asked).toEqual(['inside'])
    expect(steps).toHaveLength(1)
  })

  test('a directory is a base', async () => {
    const { steps, target } = await plan('FROM files', { namedContexts: { files: { kind: 'context' } } })
    expect(steps.map((step) => step.operation)).toMatchObject([
      { kind: 'copy', from: { kind: 'context', name: 'files' } },
    ])
    expect(target.fileSystem).toBe(0)
  })
})

test('triggers of a base image fire once, may name further images, and are gone from the child', async () => {
  const parent: ImageConfig = {
    ...baseConfig,
    config: { ...baseConfig.config, OnBuild: ['COPY --from=tool /t /t', 'ENV FIRED=yes'] },
  }
  const resolver = resolverOf({ parent, tool: baseConfig })
  const { steps, target } = await plan('FROM parent AS a\nRUN one\nFROM a\nRUN two', { resolver })
  expect(resolver.asked).toEqual(['parent', 'tool'])
  expect(steps.map((step) => step.title)).toEqual([
    'FROM parent',
    'FROM tool',
    'ONBUILD COPY --from=tool /t /t',
    'RUN one',
    'RUN two',
  ])
  expect(target.config.config?.OnBuild).toBeUndefined()
  expect(target.config.config?.Env).toContain('FIRED=yes')
})

test('unknown fields of a base image are kept; its times and layers are not', async () => {
  const base: ImageConfig = {
    ...baseConfig,
    variant: 'v1',
    'os.version': '1',
    config: { ...baseConfig.config, Odd: 1 },
  }
  const { target } = await plan('FROM base', { resolver: resolverOf({ base }) })
  expect(target.config).toMatchObject({ 'os.version': '1', config: { Odd: 1 } })
  // Every machine of this architecture has it, so it says nothing.
  expect(target.config).not.toHaveProperty('variant')
  expect(target.config).not.toHaveProperty('created')
  expect(target.config).not.toHaveProperty('history')
  expect(target.config.rootfs.diff_ids).toEqual([])
})

test('a path is added where the base image has none', async () => {
  const base: ImageConfig = { ...baseConfig, config: { Env: ['A=1'] } }
  const { target } = await plan('FROM base', { resolver: resolverOf({ base }) })
  expect(target.config.config?.Env?.at(-1)).toMatch(/^PATH=\/usr\/local\/sbin:/)
})

test('planning a hundred stages is quick', async () => {
  const stages = Array.from({ length: 100 }, (_, at) =>
    [`FROM base AS s${at}`, ...(at > 0 ? [`COPY --from=s${at - 1} / /`] : []), 'RUN a', 'RUN b', 'RUN c'].join('\n'),
  )
  const started = performance.now()
  const { steps } = await plan(stages.join('\n'))
  expect(steps).toHaveLength(1 + 300 + 99)
  expect(performance.now() - started).toBeLessThan(1500)
})
