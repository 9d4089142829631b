import { describe, expect, test } from 'vitest'
import { parseDockerfile } from '../../../buildkit-lite/dockerfile/parse.ts'

function parse(text: string): object | undefined {
  return parseDockerfile(`FROM a\n${text}`, 'Dockerfile').stages[0]?.instructions[0]?.instruction
}

const shell = (text: string) => ({ command: { form: 'shell', text } })
const exec = (...args: string[]) => ({ command: { form: 'exec', args } })

describe('each instruction as it is read', () => {
  test.for([
    // The form of a command.
    ['RUN', shell('')],
    ['RUN  a\t b ', shell('a\t b')],
    ['RUN ["a", "b c"]', exec('a', 'b c')],
    ['RUN [ "a" ]', exec('a')],
    ['RUN []', exec()],
    ["RUN ['a']", shell("['a']")],
    ['RUN ["a"', shell('["a"')],
    ['RUN ["a"] && b', shell('["a"] && b')],
    ['RUN [ -f x ]', shell('[ -f x ]')],
    ['CMD ["\\u00e9", "a\\tb"]', exec('é', 'a\tb')],
    ['CMD', shell('')],
    ['ENTRYPOINT a b', shell('a b')],
    ['cMd a', shell('a')],
    // Flags.
    ['RUN --network=none --security=insecure a', { network: 'none', security: 'insecure' }],
    ['RUN -- a', shell('a')],
    ['RUN --network=none -- --b', { network: 'none', ...shell('--b') }],
    ['RUN "--network=none" a', shell('"--network=none" a')],
    ['RUN --network=n"on"e a', { network: 'none', ...shell('a') }],
    ['RUN --network=n\\one a', { network: 'none' }],
    ['RUN a --network=none', { network: null, ...shell('a --network=none') }],
    ['COPY --from=a\t--link b c', { from: 'a', link: true }],
    ['COPY --link=FALSE b c', { link: false }],
    ['COPY --from= b c', { from: null }],
    ['COPY --exclude=a --exclude=$X b c', { exclude: ['a', '$X'] }],
    ['COPY --chmod=a=rX,u+w --chown="a b" b c', { chmod: 'a=rX,u+w', chown: 'a b' }],
    [
      'ADD --keep-git-dir --checksum=sha256:x --unpack=false b c',
      { keepGitDir: true, checksum: 'sha256:x', unpack: false },
    ],
    ['COPY --parents a b', { parents: true, keepGitDir: null, unpack: null }],
    // Words of COPY.
    ['COPY a b  c', { sources: ['a', 'b'], destination: 'c' }],
    ['COPY "a b" c', { sources: ['"a', 'b"'], destination: 'c' }],
    ['COPY ["a b", "c"]', { sources: ['a b'], destination: 'c' }],
    ["COPY ['a', 'b']", { sources: ["['a',"], destination: "'b']" }],
    // Mounts.
    [
      'RUN --mount=type=bind,RO a',
      {
        mounts: [
          [
            { key: 'type', value: 'bind' },
            { key: 'ro', value: null },
          ],
        ],
      },
    ],
    [
      'RUN --mount=target=/a=b --mount=from=a$ c',
      { mounts: [[{ key: 'target', value: '/a=b' }], [{ key: 'from', value: 'a$' }]] },
    ],
    [
      'RUN --mount=\\"target=/a,b\\",\\"id=\\"\\"x\\"\\"\\" c',
      {
        mounts: [
          [
            { key: 'target', value: '/a,b' },
            { key: 'id', value: '"x"' },
          ],
        ],
      },
    ],
    // Devices.
    ['RUN --device=vendor.example/class=a b', { devices: [{ name: 'vendor.example/class=a', required: false }] }],
    [
      'RUN --device=a,required --device=name=b,required=false c',
      {
        devices: [
          { name: 'a', required: true },
          { name: 'b', required: false },
        ],
      },
    ],
    ['RUN --device=required,a c', { devices: [{ name: 'a', required: true }] }],
    // Pairs.
    [
      'ENV A=1 B="x y" C=a\\ b D=',
      {
        legacy: false,
        pairs: [
          { name: 'A', value: '1' },
          { name: 'B', value: '"x y"' },
          { name: 'C', value: 'a\\ b' },
          { name: 'D', value: '' },
        ],
      },
    ],
    ["ENV A='b=c d'", { pairs: [{ name: 'A', value: "'b=c d'" }] }],
    ['ENV A b = c  ', { legacy: true, pairs: [{ name: 'A', value: 'b = c' }] }],
    ['ENV A\t "b"', { legacy: true, pairs: [{ name: 'A', value: '"b"' }] }],
    ['LABEL "a b"=c', { pairs: [{ name: '"a b"', value: 'c' }] }],
    [
      'ARG A B=1 C="x y" D=',
      {
        args: [
          { name: 'A', value: null },
          { name: 'B', value: '1' },
          { name: 'C', value: '"x y"' },
          { name: 'D', value: '' },
        ],
      },
    ],
    // Single values.
    ['WORKDIR /a b', { value: '/a b' }],
    ['USER  a b ', { value: 'a b' }],
    ['STOPSIGNAL SIGKILL', { value: 'SIGKILL' }],
    ['MAINTAINER a <b@c>', { kind: 'MAINTAINER', value: 'a <b@c>' }],
    ['EXPOSE 80 443/tcp 1', { words: ['1', '443/tcp', '80'] }],
    ['VOLUME /a /b', { words: ['/a', '/b'] }],
    ['VOLUME ["/a b", " /c "]', { words: ['/a b', '/c'] }],
    ['SHELL ["a", "b"]', { args: ['a', 'b'] }],
    // Health checks.
    ['HEALTHCHECK NONE', { test: 'none', interval: 0 }],
    ['HEALTHCHECK --interval=1s none', { test: 'none', interval: 0 }],
    ['HEALTHCHECK cmd a b', { test: { form: 'shell', text: 'a b' } }],
    ['HEALTHCHECK CMD ["a"]', { test: { form: 'exec', args: ['a'] } }],
    [
      'HEALTHCHECK --interval=1m30s --timeout=1ms --start-period=1.5h --start-interval=0 --retries=3 CMD a',
      { interval: 90e9, timeout: 1e6, startPeriod: 5400e9, startInterval: 0, retries: 3 },
    ],
    // Triggers.
    ['ONBUILD  run  a', { trigger: 'run  a' }],
    ['ONBUILD FOO a', { trigger: 'FOO a' }],
    ['ONBUILD COPY a', { trigger: 'COPY a' }],
    ['ONBUILD RUN a \\\n  b  ', { trigger: 'RUN a   b' }],
  ] as const)('%j', ([text, expected]) => {
    expect(parse(text)).toMatchObject(expected)
  })

  test.for([
    ['FROM a', { image: 'a', name: null, platform: null }],
    ['from a As B-1.x_y', { image: 'a', name: 'b-1.x_y' }],
    ['FROM --platform=$BUILDPLATFORM a AS b', { platform: '$BUILDPLATFORM', name: 'b' }],
    ['FROM --platform=linux/amd64\ta:1@sha256:x', { platform: 'linux/amd64', image: 'a:1@sha256:x' }],
  ] as const)('%j', ([text, expected]) => {
    expect(parseDockerfile(text, 'Dockerfile').stages[0]?.from).toMatchObject(expected)
  })

  test('an ARG between two stages belongs to the one before', () => {
    const { globalArgs, stages } = parseDockerfile('ARG A\nARG B=1\nFROM a\nARG C\nFROM b\n', 'Dockerfile')
    expect(globalArgs.map(({ first }) => first)).toEqual([1, 2])
    expect(stages.map(({ instructions }) => instructions.length)).toEqual([1, 0])
  })
})
