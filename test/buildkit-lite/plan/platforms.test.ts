import { describe, expect, test } from 'vitest'
import type { Platform } from '../../../buildkit-lite/plan/plan.ts'
import { formatPlatform, parsePlatform } from '../../../buildkit-lite/plan/platform.ts'
import { amd64, arm64, configOf, imageOf, lastEnv, plan, resolverOf } from './plan-text.ts'

test.for([
  ['linux/amd64', 'linux/amd64'],
  ['linux', 'linux/arm64'],
  ['amd64', 'linux/amd64'],
  ['x86_64', 'linux/amd64'],
  ['linux/x86-64', 'linux/amd64'],
  ['linux/amd64/v1', 'linux/amd64'],
  ['linux/amd64/v2', 'linux/amd64/v2'],
  ['aarch64', 'linux/arm64'],
  ['linux/arm64/v8', 'linux/arm64'],
  ['linux/arm64/8', 'linux/arm64'],
  ['linux/arm', 'linux/arm/v7'],
  ['linux/arm/7', 'linux/arm/v7'],
  ['linux/arm/v6', 'linux/arm/v6'],
  ['armhf', 'linux/arm/v7'],
  ['linux/armel', 'linux/arm/v6'],
  ['macos/arm64', 'darwin/arm64'],
  ['Linux/AMD64', 'linux/amd64'],
  // A pair need not be known: nobody may have an image for it.
  ['linux/vax', 'linux/vax'],
] as const)('%s is %s', ([text, expected]) => {
  expect(formatPlatform(parsePlatform(text, arm64))).toBe(expected)
})

test.for([
  ['vax', 'unknown operating system or architecture'],
  ['linux/', '"" is an invalid component'],
  ['/amd64', '"" is an invalid component'],
  ['linux/arm 64', '"arm 64" is an invalid component'],
  ['linux/*', 'wildcards not yet supported'],
  ['linux/arm/v7/x', 'cannot parse platform specifier'],
] as const)('%j is none', ([text, message]) => {
  expect(() => parsePlatform(text, arm64)).toThrow(message)
})

describe('for which platform images are resolved', () => {
  const asked = async (text: string, platform: Platform = arm64) => {
    const resolver = resolverOf({ base: imageOf(), tool: imageOf() })
    await plan(text, { platform, resolver })
    return resolver.asked.toSorted()
  }

  test.for<[string, string[]]>([
    ['FROM base', ['base arm64']],
    ['FROM --platform=linux/amd64 base', ['base amd64']],
    ['FROM --platform=$BUILDPLATFORM base', ['base amd64']],
    ['FROM --platform=$TARGETPLATFORM base', ['base arm64']],
    ['ARG P=linux/arm/v6\nFROM --platform=$P base', ['base arm v6']],
    ['FROM --platform=${BUILDOS}/s390x base', ['base s390x']],
    // One image of two platforms is two images, of one platform one.
    ['FROM --platform=amd64 base AS a\nFROM base\nCOPY --from=a / /', ['base amd64', 'base arm64']],
    ['FROM base AS a\nFROM base\nCOPY --from=a / /', ['base arm64']],
    ['FROM base AS a\nFROM base:latest\nCOPY --from=a / /\nCOPY --from=library/base / /', ['base arm64']],
    // What is only copied from is for the target, whatever the stage is for.
    ['FROM --platform=amd64 base\nCOPY --from=tool / /', ['base amd64', 'tool arm64']],
    ['FROM --platform=amd64 base\nRUN --mount=from=tool,target=/t x', ['base amd64', 'tool arm64']],
  ])('%j', async ([text, expected]) => {
    expect(await asked(text)).toEqual(expected)
  })

  test('once a name, tag or digest, in however many stages and at the same time', async () => {
    const digest = `sha256:${'b'.repeat(64)}`
    const resolver = resolverOf({ [`base:1@${digest}`]: imageOf(), base: imageOf() })
    const text = `FROM base:1@${digest} AS a\nFROM base:1@${digest} AS b\nFROM base\nCOPY --from=a / /\nCOPY --from=b / /`
    const { steps } = await plan(text, { resolver })
    expect(resolver.asked).toEqual([`base:1@${digest} amd64`, 'base amd64'])
    expect(steps.filter(({ operation }) => operation.kind === 'base')).toHaveLength(2)
  })
})

describe('what the image says it is for', () => {
  const arm = imageOf({}, { architecture: 'arm64', variant: 'v8' })
  const platformOf = async (text: string, input: { platform?: Platform; platformGiven?: boolean }) => {
    const { target } = await plan(text, { ...input, resolver: resolverOf({ base: arm }) })
    const { os, architecture, variant } = target.config
    return [os, architecture, variant].filter(Boolean).join('/')
  }

  test.for<[string, { platform?: Platform; platformGiven?: boolean }, string]>([
    ['FROM --platform=arm64 base', {}, 'linux/arm64'],
    ['FROM --platform=arm64 base', { platformGiven: true }, 'linux/amd64'],
    ['FROM base', { platform: arm64, platformGiven: true }, 'linux/arm64'],
    ['FROM scratch', { platform: { os: 'linux', architecture: 'arm', variant: 'v6' } }, 'linux/arm/v6'],
    // Nothing has no platform of its own.
    ['FROM --platform=s390x scratch', {}, 'linux/amd64'],
  ])('%j with %j', async ([text, input, expected]) => {
    expect(await platformOf(text, input)).toBe(expected)
  })
})

test('a stage on another stage is for its platform, whatever its FROM says', async () => {
  const resolver = resolverOf({ base: imageOf() })
  const text = 'FROM --platform=amd64 base AS a\nARG TARGETARCH\nFROM --platform=s390x a\nRUN x'
  const planned = await plan(text, { platform: arm64, resolver })
  expect(resolver.asked).toEqual(['base amd64'])
  expect(lastEnv(planned)).toEqual(['TARGETARCH=arm64'])
  expect(configOf(planned).Cmd).toEqual(['sh'])
})

test.for([
  [
    'FROM --platform=$TARGETPLATFROM base',
    'empty platform value from expression $TARGETPLATFROM (did you mean TARGETPLATFORM?)',
  ],
  ['FROM --platform=$NO base', 'empty platform value from expression $NO'],
  ['FROM --platform=vax base', 'failed to parse platform vax: "vax": unknown operating system or architecture'],
  [
    'FROM --platform=${NO:-vax} base',
    'failed to parse platform ${NO:-vax}: "vax": unknown operating system or architecture',
  ],
] as const)('%s', async ([text, message]) => {
  await expect(plan(text, { platform: amd64 })).rejects.toMatchObject({ kind: 'dockerfile-invalid', line: 1, message })
})
