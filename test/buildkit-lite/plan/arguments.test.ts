import { describe, expect, test } from 'vitest'
import { amd64, arm64, historyOf, lastEnv, plan } from './plan-text.ts'

type Args = Record<string, string>

describe('what RUN sees of ARG and ENV', () => {
  test.for<[string, Args, string[]]>([
    // Precedence: given, then the stage's default, then for a bare ARG the global value.
    ['ARG A=g\nFROM base\nARG A', {}, ['A=g']],
    ['ARG A=g\nFROM base\nARG A=s', {}, ['A=s']],
    ['ARG A=g\nFROM base\nARG A=s', { A: 'c' }, ['A=c']],
    ['ARG A=g\nFROM base\nARG A', { A: 'c' }, ['A=c']],
    ['ARG A\nFROM base\nARG A', {}, []],
    ['ARG A=g\nFROM base', { A: 'c' }, []],
    ['FROM base', { UNKNOWN: 'c' }, []],
    ['FROM base\nARG A=1 B=2 C', { C: '3' }, ['A=1', 'B=2', 'C=3']],
    ['ARG A=1 B=2 C\nFROM base\nARG B', {}, ['B=2']],
    ['ARG A=a\nARG B=$A-b\nFROM base\nARG B', {}, ['B=a-b']],
    ['ARG A=a\nARG B=$A-b\nFROM base\nARG B', { A: 'c' }, ['B=c-b']],
    ['FROM base\nARG A=', {}, ['A=']],
    ['FROM base\nARG A=x', { A: '' }, ['A=']],
    ['FROM base\nARG A=x\nARG A', {}, ['A=x']],
    ['FROM base\nARG A="x y" B=\'$A\'', {}, ['A=x y', 'B=$A']],
    // One instruction: those of ARG see each other, those of ENV do not.
    ['FROM base\nARG A=1 B=$A', {}, ['A=1', 'B=1']],
    ['FROM base\nENV A=0\nENV A=1 B=$A', {}, ['A=1', 'B=0']],
    // A default that is not used may be wrong.
    ['FROM base\nARG A=${x:?wrong}', { A: 'c' }, ['A=c']],
    ['ARG A=${x:?wrong}\nFROM base\nARG A', { A: 'c' }, ['A=c']],
    // The last writer of a name wins.
    ['FROM base\nARG A=a\nENV A=e', {}, ['A=e']],
    ['FROM base\nARG A=a\nENV A=e', { A: 'c' }, ['A=e']],
    ['FROM base\nENV A=e\nARG A=a', {}, ['A=a']],
    ['FROM base\nENV A=e\nARG A=a', { A: 'c' }, ['A=c']],
    ['FROM base\nENV A=e\nARG A', {}, ['A=e']],
    // Scope: from its line to the end of the stage and in stages built on it.
    ['FROM base AS p\nARG A=a\nFROM p', {}, ['A=a']],
    ['FROM base AS p\nARG A=a\nFROM base', {}, []],
    ['FROM base AS p\nARG A=a\nENV A=e\nFROM p', {}, ['A=e']],
    ['FROM base AS p\nENV A=e\nARG A=a\nFROM p', {}, ['A=e']],
    // What stands between two stages belongs to the first.
    ['FROM base AS p\nARG A=a\nFROM base\nARG A', {}, []],
    // Only scanners read these.
    ['FROM base\nARG BUILDKIT_SBOM_SCAN_STAGE=true', {}, []],
  ])('%j with %j', async ([text, buildArgs, expected]) => {
    expect(lastEnv(await plan(`${text}\nRUN x`, { buildArgs }))).toEqual(expected)
  })
})

describe('automatic arguments', () => {
  const names = ['PLATFORM', 'OS', 'OSVERSION', 'ARCH', 'VARIANT']
  const declare = `FROM base\nARG ${['BUILD', 'TARGET'].flatMap((prefix) => names.map((name) => prefix + name)).join(' ')}`

  test('say the two platforms', async () => {
    const platform = { os: 'linux', architecture: 'arm', variant: '7' }
    const env = lastEnv(await plan(`${declare}\nRUN x`, { platform, buildPlatform: { ...amd64, variant: 'v1' } }))
    expect(env).toEqual([
      'BUILDPLATFORM=linux/amd64',
      'BUILDOS=linux',
      'BUILDOSVERSION=',
      'BUILDARCH=amd64',
      'BUILDVARIANT=',
      'TARGETPLATFORM=linux/arm/v7',
      'TARGETOS=linux',
      'TARGETOSVERSION=',
      'TARGETARCH=arm',
      'TARGETVARIANT=v7',
    ])
  })

  test.for<[string, Args, string | null, string[]]>([
    ['FROM base\nARG TARGETARCH', {}, null, ['TARGETARCH=arm64']],
    ['FROM base\nARG TARGETARCH', { TARGETARCH: 'mine' }, null, ['TARGETARCH=mine']],
    ['FROM base\nARG TARGETARCH=zzz', {}, null, ['TARGETARCH=zzz']],
    ['FROM base', {}, null, []],
    ['FROM base\nARG TARGETSTAGE', {}, null, ['TARGETSTAGE=default']],
    ['FROM base AS Web\nARG TARGETSTAGE', {}, null, ['TARGETSTAGE=web']],
    ['FROM base AS Web\nARG TARGETSTAGE', {}, 'wEb', ['TARGETSTAGE=wEb']],
  ])('%j with %j for the target %s', async ([text, buildArgs, target, expected]) => {
    expect(lastEnv(await plan(`${text}\nRUN x`, { buildArgs, target, platform: arm64 }))).toEqual(expected)
  })
})

describe('history of ARG', () => {
  test.for<[string, Args, string[]]>([
    ['ARG a=1 b=2 c', {}, ['- ARG a=1 b=2 c', '|3 a=1 b=2 c= /bin/sh -c x # buildkit']],
    ['ARG foo=bar', { foo: 'given' }, ['- ARG foo=given', '|1 foo=given /bin/sh -c x # buildkit']],
    ['ARG foo', {}, ['- ARG foo', '|1 foo= /bin/sh -c x # buildkit']],
    ['ARG a=1\nARG a=2', {}, ['- ARG a=1', '- ARG a=2', '|1 a=2 /bin/sh -c x # buildkit']],
    ['ARG a=1\nENV a=e', {}, ['- ARG a=1', '- ENV a=e', '|1 a=e /bin/sh -c x # buildkit']],
    // Predefined arguments are told only where they are declared.
    ['', { HTTP_PROXY: 'p' }, ['/bin/sh -c x # buildkit']],
    ['ARG HTTP_PROXY', { HTTP_PROXY: 'p' }, ['- ARG HTTP_PROXY=p', '|1 HTTP_PROXY=p /bin/sh -c x # buildkit']],
  ])('%j with %j', async ([text, buildArgs, expected]) => {
    const lines = historyOf(await plan(`FROM base\n${text}\nRUN x`, { buildArgs }))
    expect(lines.map((line) => line.replace('RUN ', ''))).toEqual(expected)
  })
})

test('the proxies are given in capitals and small letters, undeclared, and outside of the cache key', async () => {
  const { steps } = await plan('FROM base\nRUN x', { buildArgs: { http_proxy: 'p', NO_PROXY: 'n', All_Proxy: 'a' } })
  expect(steps.at(-1)?.operation).toMatchObject({
    proxyEnv: ['HTTP_PROXY', 'http_proxy', 'NO_PROXY', 'no_proxy', 'ALL_PROXY', 'all_proxy'],
    env: expect.arrayContaining(['HTTP_PROXY=p', 'http_proxy=p', 'NO_PROXY=n', 'no_proxy=n', 'ALL_PROXY=a']),
  })
})
