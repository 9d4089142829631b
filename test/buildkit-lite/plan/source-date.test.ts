import { describe, expect, test } from 'vitest'
import type { SourceTimestamps } from '../../../buildkit-lite/plan/plan-input.ts'
import type { RemoteCopySource } from '../../../buildkit-lite/remote/remote-sources.ts'
import { imageOf, lastEnv, plan, resolverOf } from './plan-text.ts'

const timestamps: SourceTimestamps = {
  ofContext: (name) => (name === null ? 100 : name === 'src' ? 200 : null),
  ofRemote: async ({ url }) => (url.includes('new') ? 300 : null),
}
const namedContexts = {
  src: { kind: 'context' },
  dir: { kind: 'context' },
  img: { kind: 'image', reference: 'other' },
} as const
const resolver = resolverOf({ base: imageOf(), other: imageOf() })
const dated = (text: string, buildArgs: Record<string, string> = {}) =>
  plan(text, { buildArgs, timestamps, namedContexts, resolver })

const A = 'ARG SOURCE_DATE_EPOCH'
describe('the date, and what RUN sees of it', () => {
  test.for<[string, Record<string, string>, number | null, string[]]>([
    ['FROM base', {}, null, []],
    ['FROM base', { SOURCE_DATE_EPOCH: '5' }, 5, []],
    [`FROM base\n${A}`, { SOURCE_DATE_EPOCH: '5' }, 5, ['SOURCE_DATE_EPOCH=5']],
    [`FROM base\n${A}=9`, {}, null, ['SOURCE_DATE_EPOCH=9']],
    [`${A}=7\nFROM base\n${A}`, {}, 7, ['SOURCE_DATE_EPOCH=7']],
    [`${A}=7\nFROM base`, {}, 7, []],
    [`${A}=7\nFROM base\n${A}=9`, {}, 7, ['SOURCE_DATE_EPOCH=9']],
    [`${A}=7\nFROM base\n${A}=9`, { SOURCE_DATE_EPOCH: '5' }, 5, ['SOURCE_DATE_EPOCH=5']],
    [`${A}=7\nFROM base\n${A}`, { SOURCE_DATE_EPOCH: '' }, null, []],
    [`${A}\nFROM base\n${A}`, {}, null, []],
    ['FROM base', { SOURCE_DATE_EPOCH: '-1' }, -1, []],
    [`${A}=context\nFROM base\n${A}`, {}, 100, ['SOURCE_DATE_EPOCH=100']],
    [`FROM base\n${A}`, { SOURCE_DATE_EPOCH: 'context' }, 100, ['SOURCE_DATE_EPOCH=100']],
    [`${A}=src\nFROM base\n${A}`, {}, 200, ['SOURCE_DATE_EPOCH=200']],
    // A directory or an image has no date of its own.
    [`${A}=dir\nFROM base\n${A}`, {}, null, []],
    [`${A}=img\nFROM base\n${A}`, {}, null, []],
    [`${A}=GET\nFROM scratch AS get\nADD https://x/new.tar /\nFROM base\n${A}`, {}, 300, ['SOURCE_DATE_EPOCH=300']],
    [`${A}=get\nFROM scratch AS get\nADD https://x/old.tar /\nFROM base\n${A}`, {}, null, []],
  ])('%j with %j', async ([text, buildArgs, epoch, env]) => {
    const planned = await dated(`${text}\nRUN x`, buildArgs)
    expect(planned.sourceDateEpoch).toBe(epoch)
    expect(lastEnv(planned)).toEqual(env)
  })
})

test('the stage that it is taken from says a source, with its arguments expanded', async () => {
  const asked: RemoteCopySource[] = []
  const ofRemote: SourceTimestamps['ofRemote'] = async (source) => {
    asked.push(source)
    return 1
  }
  const of = (lines: string) =>
    plan(`ARG G=g\n${A}=s\nFROM scratch AS s\n${lines}\nFROM base`, {
      resolver,
      timestamps: { ...timestamps, ofRemote },
      buildArgs: { GIVEN: 'yes' },
    })
  await of(`ARG GIVEN=no X=$G\nADD --checksum=sha256:${'a'.repeat(64)} https://x/$X-$GIVEN /`)
  await of('ADD https://x/n.git?tag=v1 /')
  expect(asked).toEqual([
    { kind: 'http', url: 'https://x/g-yes', checksum: `sha256:${'a'.repeat(64)}` },
    {
      kind: 'git',
      url: 'https://x/n.git',
      ref: 'refs/tags/v1',
      subdirectory: '/',
      checksum: null,
      keepGitDir: false,
      submodules: true,
    },
  ])
})

test.for<[string, Record<string, string>, number | undefined, string]>([
  [`${A}=nothing\nFROM base`, {}, 1, 'invalid SOURCE_DATE_EPOCH: nothing'],
  ['FROM base', { SOURCE_DATE_EPOCH: '1.5' }, undefined, 'invalid SOURCE_DATE_EPOCH: 1.5'],
  [`${A}=s\nFROM base AS s\nADD https://x/y /`, {}, 2, 'SOURCE_DATE_EPOCH stage must use FROM scratch'],
  [`${A}=s\nFROM scratch AS s`, {}, 2, 'SOURCE_DATE_EPOCH stage must contain exactly one remote ADD'],
  [`${A}=s\nFROM scratch AS s\nADD https://x/1 /\nADD https://x/2 /`, {}, 2, 'must contain exactly one remote ADD'],
  [`${A}=s\nFROM scratch AS s\nADD https://x/1 https://x/2 /`, {}, 2, 'must contain exactly one remote ADD source'],
  [`${A}=s\nFROM scratch AS s\nADD file /`, {}, 2, 'must be a single HTTP(S) or Git ADD'],
  [`${A}=s\nFROM scratch AS s\nRUN x`, {}, 2, 'source-only requirements: unsupported RUN instruction'],
])('%j with %j', async ([text, buildArgs, line, message]) => {
  const error: unknown = await dated(text, buildArgs).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ kind: 'dockerfile-invalid', message: expect.stringContaining(message) })
  expect((error as { line?: number }).line).toBe(line)
})
