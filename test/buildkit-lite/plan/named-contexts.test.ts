import { describe, expect, test } from 'vitest'
import type { PlannedContext } from '../../../buildkit-lite/plan/named-contexts.ts'
import { arm64, configOf, historyOf, imageOf, plan, resolverOf } from './plan-text.ts'

const image = (reference: string): PlannedContext => ({ kind: 'image', reference })
const files: PlannedContext = { kind: 'context' }

async function steps(text: string, namedContexts: Record<string, PlannedContext>, platform = arm64) {
  const resolver = resolverOf({ base: imageOf(), other: imageOf(), 'other:arm': imageOf() })
  const planned = await plan(text, { namedContexts, resolver, platform })
  return planned.steps.map(({ title }) => title)
}

describe('what a name leads to', () => {
  test.for<[string, Record<string, PlannedContext>, string[]]>([
    // An image by any of its names.
    ['FROM alpine', { alpine: image('other') }, ['FROM other']],
    ['FROM alpine:latest', { alpine: image('other') }, ['FROM other']],
    ['FROM docker.io/library/alpine', { alpine: image('other') }, ['FROM other']],
    ['FROM alpine', { 'docker.io/library/alpine:latest': image('other') }, ['FROM other']],
    ['FROM base', { 'base:3': image('other') }, ['FROM base']],
    [
      'FROM base\nCOPY --from=alpine / /',
      { alpine: image('other') },
      ['FROM base', 'FROM other', 'COPY --from=alpine / /'],
    ],
    ['FROM base\nRUN --mount=from=x,target=/m x', { x: files }, ['FROM base', 'RUN --mount=from=x,target=/m x']],
    // A stage, whose instructions do not count then.
    [
      'FROM nowhere AS built\nRUN never\nFROM base\nCOPY --from=built / /',
      { built: image('other') },
      ['FROM other', 'FROM base', 'COPY --from=built / /'],
    ],
    ['FROM nowhere AS built\nRUN never\nFROM built\nRUN x', { built: image('other') }, ['FROM other', 'RUN x']],
    ['FROM nowhere AS built\nONBUILD RUN never\nFROM built\nRUN x', { built: image('other') }, ['FROM other', 'RUN x']],
    [
      'FROM nowhere AS Built\nRUN never\nFROM base\nCOPY --from=0 / /',
      { built: files },
      ['FROM base', 'COPY --from=0 / /'],
    ],
    // An earlier stage goes before a context for what is built on it.
    ['FROM base AS a\nRUN 1\nFROM a AS b\nRUN 2', { A: image('other') }, ['FROM other', 'RUN 2']],
    // Files may be a base.
    ['FROM x\nRUN x', { x: files }, ['FROM x', 'RUN x']],
    // Nothing may be what a name means; scratch itself means nothing else.
    ['FROM alpine\nCOPY a /', { alpine: { kind: 'scratch' } }, ['COPY a /']],
    ['FROM scratch\nCOPY a /', { scratch: image('other') }, ['COPY a /']],
    // Those for the platform go first.
    ['FROM alpine', { alpine: image('other'), 'alpine::linux/arm64': image('other:arm') }, ['FROM other:arm']],
    ['FROM alpine', { 'alpine:latest::arm64/v8': image('other'), alpine: image('other:arm') }, ['FROM other:arm']],
    [
      'FROM --platform=amd64 alpine',
      { alpine: image('other'), 'alpine::linux/arm64': image('other:arm') },
      ['FROM other'],
    ],
  ])('%j with %j', async ([text, contexts, expected]) => {
    expect(await steps(text, contexts)).toEqual(expected)
  })
})

test('the config of an image that stands in for a stage goes on, but not its triggers', async () => {
  const resolver = resolverOf({
    other: imageOf({ User: 'u', OnBuild: ['RUN never'] }, { history: [{ created_by: 'h' }] }),
  })
  const planned = await plan('FROM nowhere AS s\nFROM s\nENV A=1', { namedContexts: { s: image('other') }, resolver })
  expect(configOf(planned)).toMatchObject({ User: 'u' })
  expect(historyOf(planned)).toEqual(['- h', '- ENV A=1'])
})

test('triggers of an image that stands in for another image fire', async () => {
  const resolver = resolverOf({ other: imageOf({ OnBuild: ['RUN fires'] }) })
  const planned = await plan('FROM alpine', { namedContexts: { alpine: image('other') }, resolver })
  expect(planned.steps.map(({ title }) => title)).toEqual(['FROM other', 'ONBUILD RUN fires'])
})

test('files that are a base have a layer and an entry of the history', async () => {
  const planned = await plan('FROM x\nENV A=1\nCOPY a /', { namedContexts: { x: files } })
  expect(historyOf(planned)).toEqual(['FROM x', '- ENV A=1', 'COPY a / # buildkit'])
  expect(planned.target.history.map(({ step }) => step)).toEqual([0, null, 1])
  expect(configOf(planned)).toMatchObject({ WorkingDir: '/' })
})

test('images have no capitals: a name that has some is no context of theirs', async () => {
  await expect(plan('FROM bAse', { namedContexts: { base: image('other') } })).rejects.toThrow(
    'failed to parse stage name "bAse": invalid reference format',
  )
})
