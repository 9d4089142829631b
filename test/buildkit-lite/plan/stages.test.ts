import { describe, expect, test } from 'vitest'
import { SourceError } from '#domain/errors'
import type { ImageResolver } from '../../../buildkit-lite/plan/plan.ts'
import { configOf, historyOf, imageOf, plan, resolverOf } from './plan-text.ts'

const titles = async (text: string, target: string | null = null) =>
  (await plan(text, { target, resolver: resolverOf({ base: imageOf(), 'scratch:latest': imageOf() }) })).steps.map(
    ({ title }) => title,
  )

describe('which steps are planned', () => {
  test.for<[string, string | null, string[]]>([
    // The default target is the last stage; a name counts in any case.
    ['FROM base AS a\nRUN a\nFROM base AS b\nRUN b', null, ['FROM base', 'RUN b']],
    ['FROM base AS a\nRUN a\nFROM base AS b\nRUN b', 'A', ['FROM base', 'RUN a']],
    [
      'FROM base AS Build\nRUN a\nFROM base\nCOPY --from=bUILD /x /x',
      null,
      ['FROM base', 'RUN a', 'COPY --from=bUILD /x /x'],
    ],
    // An earlier stage goes before any image of its name; of two with one name the last is found.
    ['FROM base AS x\nRUN 1\nFROM x\nRUN 2', null, ['FROM base', 'RUN 1', 'RUN 2']],
    ['FROM base AS x\nRUN 1\nFROM base AS x\nRUN 2\nFROM x', null, ['FROM base', 'RUN 2']],
    ['FROM base AS x\nRUN 1\nFROM base AS x\nRUN 2', 'x', ['FROM base', 'RUN 2']],
    ['FROM base AS x\nRUN 1\nFROM x AS x\nRUN 2', null, ['FROM base', 'RUN 1', 'RUN 2']],
    // Numbers count from 0, in COPY only.
    ['FROM base\nRUN 1\nFROM base\nCOPY --from=0 /x /x', null, ['FROM base', 'RUN 1', 'COPY --from=0 /x /x']],
    // Nothing comes of scratch, which no tag and no other case means.
    ['FROM scratch\nCOPY x /', null, ['COPY x /']],
    ['FROM scratch:latest\nCOPY x /', null, ['FROM scratch:latest', 'COPY x /']],
    ['FROM base AS scratch\nRUN 1\nFROM scratch\nRUN 2', null, ['FROM base', 'RUN 1', 'RUN 2']],
    ['FROM base\nCOPY --from=scratch / /', null, ['FROM base', 'COPY --from=scratch / /']],
    // Stages that are not needed are not even looked at.
    ['FROM nowhere\nRUN ${x:?}\nENV A=${x:?}\nFROM base\nRUN 1', null, ['FROM base', 'RUN 1']],
    // Variables come from the global scope only.
    ['ARG B=ba\nFROM ${B}se\nRUN 1', null, ['FROM base', 'RUN 1']],
    ['ARG B\nFROM ${B:-base}\nRUN 1', null, ['FROM base', 'RUN 1']],
    ['ARG S=a\nFROM base AS a\nRUN 1\nFROM $S\nRUN 2', null, ['FROM base', 'RUN 1', 'RUN 2']],
  ])('%j for %s', async ([text, target, expected]) => {
    expect(await titles(text, target)).toEqual(expected)
  })
})

describe('mistakes', () => {
  test.for<[string, string | null, number, string]>([
    ['FROM base AS build', 'bulid', 1, 'target stage "bulid" could not be found (did you mean build?)'],
    ['FROM base AS build', '0', 1, 'target stage "0" could not be found'],
    ['FROM $X$Y', null, 1, 'base name ($X$Y) should not be blank'],
    ['FROM base\nARG B=base\nFROM $B', null, 3, 'base name ($B) should not be blank'],
    [
      'FROM base AS build\nFROM Build',
      null,
      2,
      'failed to parse stage name "Build": invalid reference format (did you mean build?)',
    ],
    ['FROM base\nCOPY --from=1 a b\nFROM scratch', 'x', 1, 'target stage "x" could not be found'],
    ['FROM base\nCOPY --from=-1 a b', null, 2, 'invalid stage index -1'],
    [
      'FROM base AS a\nCOPY --from=2 a b',
      null,
      2,
      'invalid stage index 2: expected one of the 1 stages, counted from 0',
    ],
    [
      'FROM base AS a\nCOPY --from=b x x\nFROM base AS b\nCOPY --from=a x x',
      null,
      2,
      'circular dependency detected on stage: a',
    ],
    ['FROM base AS a\nRUN --mount=from=a,target=/m x', null, 2, 'circular dependency detected on stage: a'],
    ['FROM base AS a\nCOPY --from=0 x x', null, 2, 'circular dependency detected on stage: a'],
    [
      'FROM base AS a\nCOPY --from=C x x\nFROM a AS b\nFROM base AS c\nFROM b',
      null,
      2,
      'cannot copy from stage "C", it needs to be defined before current stage "a"',
    ],
    [
      'FROM base AS a\nRUN --mount=from=c,target=/m x\nFROM a AS b\nFROM base AS c\nFROM b',
      null,
      2,
      'cannot mount from stage "c", stage needs to be defined before current command',
    ],
  ])('%j for %s', async ([text, target, line, message]) => {
    const error = await plan(text, { target }).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(SourceError)
    expect(error).toMatchObject({ kind: 'dockerfile-invalid', line, message: expect.stringContaining(message) })
  })

  test('an image that nobody has may be a stage that is misspelt', async () => {
    await expect(plan('FROM base AS build\nFROM base\nCOPY --from=biuld /x /x')).rejects.toMatchObject({
      kind: 'pull-not-found',
      line: 3,
      message: 'Image biuld was not found (did you mean build?)',
    })
  })

  test('a number is no stage in a mount, but an image', async () => {
    const error = await plan('FROM base\nFROM base\nRUN --mount=from=0,target=/m x').catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ kind: 'pull-not-found', message: 'Image 0 was not found' })
  })
})

describe('what a stage inherits', () => {
  test('all of the config of a stage or image, and the history of its own chain only', async () => {
    const base = imageOf(
      { User: 'u', Labels: { a: '1' }, Volumes: { '/v': {} }, Odd: 1 },
      { history: [{ created_by: 'one', created: '2020-01-01T00:00:00Z' }] },
    )
    const text = 'FROM base AS p\nENV E=1\nFROM scratch AS q\nENV Q=1\nFROM p\nUSER w\nCOPY --from=q / /'
    const planned = await plan(text, { resolver: resolverOf({ base }) })
    expect(configOf(planned)).toMatchObject({ User: 'w', Labels: { a: '1' }, Volumes: { '/v': {} }, Odd: 1 })
    expect(historyOf(planned)).toEqual(['- one', '- ENV E=1', '- USER w', 'COPY / / # buildkit'])
    expect(planned.target.history[0]?.entry).toEqual({ created_by: 'one', created: '2020-01-01T00:00:00Z' })
  })

  test('changes of a child are not seen by its parent', async () => {
    const text =
      'FROM base AS p\nLABEL a=p\nENV A=p\nVOLUME /p\nFROM p AS c\nLABEL a=c\nENV A=c\nVOLUME /c\nFROM p\nCOPY --from=c / /'
    const config = configOf(await plan(text))
    expect(config).toMatchObject({ Labels: { a: 'p' }, Volumes: { '/p': {} } })
    expect(config.Env).toContain('A=p')
  })

  test('an entry of the history for each layer, also where the image itself has none', async () => {
    const layer = {
      descriptor: { mediaType: 'x', digest: `sha256:${'a'.repeat(64)}`, size: 1 },
      diffId: `sha256:${'b'.repeat(64)}`,
    }
    const config = imageOf(
      {},
      { created: '2020-01-01T00:00:00Z', history: [{ created_by: 'one' }, { empty_layer: true }] },
    )
    const resolver: ImageResolver = {
      resolve: async (reference) =>
        ({ reference, manifestDigest: 'sha256:0', config, layers: [layer, layer, layer], source: 'test' }) as never,
    }
    const { target } = await plan('FROM base', { resolver })
    const added = { created: '2020-01-01T00:00:00Z', comment: 'buildkit.exporter.image.v0' }
    expect(target.history.map(({ entry }) => entry)).toEqual([
      { created_by: 'one' },
      { empty_layer: true },
      added,
      added,
    ])
  })

  test('nothing at all from scratch', async () => {
    const { target } = await plan('FROM scratch')
    expect(target).toEqual({
      fileSystem: null,
      config: {
        architecture: 'amd64',
        os: 'linux',
        config: { Env: [expect.stringMatching(/^PATH=/)], WorkingDir: '/' },
        rootfs: { type: 'layers', diff_ids: [] },
      },
      history: [],
    })
  })
})
