import { describe, expect, test } from 'vitest'
import { DockerfileError } from '../../../buildkit-lite/dockerfile/errors.ts'
import type { RuntimeConfig } from '../../../buildkit-lite/image/config.ts'
import { configOf, historyOf, imageOf, PATH, plan, resolverOf } from './plan-text.ts'

describe('config and history', () => {
  test.for<[string, RuntimeConfig, string[]]>([
    ['ENV a=b c=d', { Env: [PATH, 'a=b', 'c=d'] }, ['- ENV a=b c=d']],
    ['ENV a=1\nENV b=2 a=$a$a', { Env: [PATH, 'a=11', 'b=2'] }, ['- ENV a=1', '- ENV b=2 a=11']],
    ['ENV a b  c ', { Env: [PATH, 'a=b  c'] }, ['- ENV a=b  c']],
    ['ENV a=', { Env: [PATH, 'a='] }, ['- ENV a=']],
    ['ENV n=N\nENV $n=v', { Env: [PATH, 'n=N', 'N=v'] }, ['- ENV n=N', '- ENV N=v']],
    ['ENV PATH=/x', { Env: ['PATH=/x'] }, ['- ENV PATH=/x']],
    ['LABEL b=1 a="x y"\nLABEL b=2', { Labels: { a: 'x y', b: '2' } }, ['- LABEL b=1 a=x y', '- LABEL b=2']],
    ['ENV k=key\nLABEL $k=$k', { Labels: { key: 'key' } }, ['- ENV k=key', '- LABEL key=key']],
    ['CMD ["a", "b\\"c"]', { Cmd: ['a', 'b"c'], ArgsEscaped: true }, ['- CMD ["a" "b\\"c"]']],
    ['CMD a $b', { Cmd: ['/bin/sh', '-c', 'a $b'], ArgsEscaped: true }, ['- CMD ["/bin/sh" "-c" "a $b"]']],
    ['CMD', { Cmd: ['/bin/sh', '-c', ''], ArgsEscaped: true }, ['- CMD ["/bin/sh" "-c" ""]']],
    ['CMD []', { Cmd: undefined, ArgsEscaped: true }, ['- CMD []']],
    ['CMD a\nCMD b', { Cmd: ['/bin/sh', '-c', 'b'] }, ['- CMD ["/bin/sh" "-c" "a"]', '- CMD ["/bin/sh" "-c" "b"]']],
    ['ENTRYPOINT ["e"]', { Entrypoint: ['e'], Cmd: undefined, ArgsEscaped: undefined }, ['- ENTRYPOINT ["e"]']],
    ['CMD ["c"]\nENTRYPOINT ["e"]', { Entrypoint: ['e'], Cmd: ['c'] }, ['- CMD ["c"]', '- ENTRYPOINT ["e"]']],
    ['ENTRYPOINT e', { Entrypoint: ['/bin/sh', '-c', 'e'] }, ['- ENTRYPOINT ["/bin/sh" "-c" "e"]']],
    ['EXPOSE 80/UDP 443', { ExposedPorts: { '443/tcp': {}, '80/udp': {} } }, ['- EXPOSE [443/tcp 80/udp]']],
    [
      'EXPOSE 8000-8002/sctp',
      { ExposedPorts: { '8000/sctp': {}, '8001/sctp': {}, '8002/sctp': {} } },
      ['- EXPOSE [8000/sctp 8001/sctp 8002/sctp]'],
    ],
    [
      'ENV P="80 443/udp"\nEXPOSE $P',
      { ExposedPorts: { '443/udp': {}, '80/tcp': {} } },
      ['- ENV P=80 443/udp', '- EXPOSE [80/tcp 443/udp]'],
    ],
    [
      'EXPOSE 127.0.0.1:8080:80 [::1]:1:2 9:10',
      { ExposedPorts: { '10/tcp': {}, '2/tcp': {}, '80/tcp': {} } },
      ['- EXPOSE [80/tcp 10/tcp 2/tcp]'],
    ],
    ['VOLUME /b /a', { Volumes: { '/a': {}, '/b': {} } }, ['- VOLUME [/b /a]']],
    ['ENV V=/x\nVOLUME ["$V", "/b c"]', { Volumes: { '/x': {}, '/b c': {} } }, ['- ENV V=/x', '- VOLUME [/x /b c]']],
    ['USER a:b', { User: 'a:b' }, ['- USER a:b']],
    ['USER $NO', { User: undefined }, ['- USER ']],
    ['USER a\nUSER $NO', { User: undefined }, ['- USER a', '- USER ']],
    ['EXPOSE +80', { ExposedPorts: { '80/tcp': {} } }, ['- EXPOSE [80/tcp]']],
    [
      'SHELL ["/bin/bash", "-ec"]\nCMD a',
      { Shell: ['/bin/bash', '-ec'], Cmd: ['/bin/bash', '-ec', 'a'] },
      ['- SHELL [/bin/bash -ec]', '- CMD ["/bin/bash" "-ec" "a"]'],
    ],
    ['STOPSIGNAL sigKILL', { StopSignal: 'sigKILL' }, ['- STOPSIGNAL sigKILL']],
    ['ENV S=99\nSTOPSIGNAL $S', { StopSignal: '99' }, ['- ENV S=99', '- STOPSIGNAL 99']],
    ['STOPSIGNAL -1', { StopSignal: '-1' }, ['- STOPSIGNAL -1']],
    ['STOPSIGNAL RTMIN+3', { StopSignal: 'RTMIN+3' }, ['- STOPSIGNAL RTMIN+3']],
    ['STOPSIGNAL CLD', { StopSignal: 'CLD' }, ['- STOPSIGNAL CLD']],
    [
      'HEALTHCHECK NONE',
      { Healthcheck: { Test: ['NONE'] } },
      ['- HEALTHCHECK {Test:[NONE] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}'],
    ],
    [
      'HEALTHCHECK --interval=5m --timeout=3s --start-period=1m30s --start-interval=100ms --retries=2 CMD curl -f x',
      {
        Healthcheck: {
          Test: ['CMD-SHELL', 'curl -f x'],
          Interval: 300e9,
          Timeout: 3e9,
          StartPeriod: 90e9,
          StartInterval: 100e6,
          Retries: 2,
        },
      },
      [
        '- HEALTHCHECK {Test:[CMD-SHELL curl -f x] Interval:5m0s Timeout:3s StartPeriod:1m30s StartInterval:100ms Retries:2}',
      ],
    ],
    [
      'HEALTHCHECK CMD ["a","b"]',
      { Healthcheck: { Test: ['CMD', 'a', 'b'] } },
      ['- HEALTHCHECK {Test:[CMD a b] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}'],
    ],
    ['ONBUILD RUN x\nONBUILD   ENV  a=1', { OnBuild: ['RUN x', 'ENV  a=1'] }, []],
    ['WORKDIR /foo/\nWORKDIR bar/', { WorkingDir: '/foo/bar' }, ['WORKDIR /foo/', 'WORKDIR /foo/bar']],
    ['WORKDIR /a/../b', { WorkingDir: '/a/../b' }, ['WORKDIR /a/../b']],
    ['WORKDIR /a/../b\nWORKDIR c', { WorkingDir: '/b/c' }, ['WORKDIR /a/../b', 'WORKDIR /b/c']],
    ['WORKDIR a', { WorkingDir: '/a' }, ['WORKDIR /a']],
    ['WORKDIR /', { WorkingDir: '/' }, ['- WORKDIR /']],
    ['WORKDIR ../..', { WorkingDir: '/' }, ['- WORKDIR /']],
    ['WORKDIR /a\nWORKDIR $NO', { WorkingDir: '/a' }, ['WORKDIR /a', 'WORKDIR /a']],
    ['ENV D=/x\nWORKDIR $D/y', { WorkingDir: '/x/y' }, ['- ENV D=/x', 'WORKDIR /x/y']],
  ])('%j', async ([text, config, history]) => {
    const planned = await plan(`FROM base\n${text}`)
    const got = configOf(planned)
    for (const [name, value] of Object.entries(config)) expect({ [name]: got[name] }).toEqual({ [name]: value })
    expect(historyOf(planned)).toEqual(history)
  })

  test('the author is the image’s, and history says it', async () => {
    const planned = await plan('FROM base\nMAINTAINER A <a@b> $X')
    expect(planned.target.config.author).toBe('A <a@b> $X')
    expect(historyOf(planned)).toEqual(['- MAINTAINER A <a@b> $X'])
  })

  test('labels of the request come last and leave no history', async () => {
    const planned = await plan('FROM base\nLABEL a=file b=file', { labels: { a: 'asked', c: 'asked' } })
    expect(configOf(planned).Labels).toEqual({ a: 'asked', b: 'file', c: 'asked' })
    expect(historyOf(planned)).toEqual(['- LABEL a=file b=file'])
  })
})

describe('what comes from the base', () => {
  const base = imageOf({
    Env: ['A=1', 'PATH=/p'],
    Cmd: ['c'],
    Entrypoint: ['e'],
    Shell: ['/bin/ash', '-c'],
    Healthcheck: { Test: ['CMD', 'h'] },
    ExposedPorts: { '1/tcp': {} },
    WorkingDir: '/w/',
    User: 'u',
  })
  const of = async (text: string) => configOf(await plan(`FROM base\n${text}`, { resolver: resolverOf({ base }) }))

  test.for<[string, RuntimeConfig]>([
    ['ENTRYPOINT ["x"]', { Cmd: undefined, Entrypoint: ['x'] }],
    ['CMD ["x"]', { Cmd: ['x'], Entrypoint: ['e'] }],
    ['CMD x', { Cmd: ['/bin/ash', '-c', 'x'] }],
    ['HEALTHCHECK NONE', { Healthcheck: { Test: ['NONE'] } }],
    ['EXPOSE 2', { ExposedPorts: { '1/tcp': {}, '2/tcp': {} } }],
    ['ENV PATH=$PATH:/q B=$A', { Env: ['A=1', 'PATH=/p:/q', 'B=1'] }],
    ['WORKDIR x', { WorkingDir: '/w/x' }],
    ['', { WorkingDir: '/w/', User: 'u', Cmd: ['c'] }],
  ])('%j', async ([text, config]) => {
    const got = await of(text)
    for (const [name, value] of Object.entries(config)) expect({ [name]: got[name] }).toEqual({ [name]: value })
  })

  test('a CMD of a parent stage does not keep the entrypoint from clearing it', async () => {
    const got = configOf(await plan('FROM base AS p\nCMD ["c"]\nFROM p\nENTRYPOINT ["e"]'))
    expect(got).toMatchObject({ Entrypoint: ['e'] })
    expect(got.Cmd).toBeUndefined()
  })
})

test('WORKDIR makes the clean path for its user, at the source date', async () => {
  const { steps } = await plan('FROM base\nUSER 7\nWORKDIR /a/../b/', { buildArgs: { SOURCE_DATE_EPOCH: '60' } })
  expect(steps.at(-1)?.operation).toEqual({ kind: 'workdir', input: 0, path: '/b', user: '7', timestamp: 60 })
})

test.for([
  ['EXPOSE abc', 'invalid containerPort: abc'],
  ['EXPOSE 80/foo', 'invalid proto: foo'],
  ['EXPOSE 80/', null],
  ['EXPOSE 9-8', 'invalid containerPort: 9-8'],
  ['EXPOSE x:80', 'invalid hostPort: x'],
  ['EXPOSE 1.2.3:1:80', 'invalid IP address: 1.2.3'],
  ['EXPOSE 1-2:80-82', 'invalid ranges specified for container and host Ports: 80-82 and 1-2'],
  ['EXPOSE 1-3:80', null],
  ['VOLUME $NO', 'VOLUME specified can not be an empty string'],
  ['STOPSIGNAL FOO', 'invalid signal: FOO'],
  ['STOPSIGNAL $NO', 'invalid signal: '],
  ['ENV a=${b:?"not there"}', 'b: not there'],
] as const)('%s', async ([text, message]) => {
  const error: unknown = await plan(`FROM base\n${text}`).then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (message === null) return expect(error).toBeNull()
  expect(error).toBeInstanceOf(DockerfileError)
  expect(error).toMatchObject({ line: 2, message: expect.stringContaining(message) })
})
