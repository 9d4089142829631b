import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from '../../core/host/exec.ts'
import { Bench } from './cli.ts'

let bench: Bench
beforeAll(async () => {
  bench = await Bench.open()
})
afterAll(async () => {
  await bench[Symbol.asyncDispose]()
})

const words = (...lines: string[]): string[] => lines.flatMap((line) => line.split(' '))

test('flags reach the steps of a build, and the image', async () => {
  await bench.write({
    Dockerfile: [
      'FROM base AS other',
      'RUN false',
      'FROM base AS wanted',
      'ARG WORD=none',
      'ARG SURELY_SET',
      'ARG SOURCE_DATE_EPOCH',
      'RUN --mount=type=secret,id=token,env=TOKEN <<EOF',
      '  echo "word $WORD $SURELY_SET $SOURCE_DATE_EPOCH $TOKEN"',
      '  grep db /etc/hosts',
      '  df -k /dev/shm | tail -n 1',
      '  ulimit -n',
      '  ls /sys/class/net',
      'EOF',
    ].join('\n'),
  })
  const { code, stderr } = await bench.build(
    words(
      '--target wanted --build-arg WORD=given --build-arg SURELY_SET --label a.b=c -t x/y:1',
      '--secret id=token,env=TOKEN --add-host db=10.1.2.3 --shm-size 32m --ulimit nofile=99:100',
      '--network none -m 256m --cpu-shares 512 --iidfile iid --metadata-file metadata',
      '--annotation org.example=1 -o type=oci,dest=out.tar --progress=plain --pull=false',
    ),
    { env: { SURELY_SET: 'yes', TOKEN: 'hidden', SOURCE_DATE_EPOCH: '1700000000' } },
  )
  expect(stderr).toMatch(/\d word given yes 1700000000 /)
  expect(stderr).toMatch(/\d 10\.1\.2\.3\s+db/)
  expect(stderr).toMatch(/\d shm\s+32768 |\d tmpfs\s+32768 /)
  expect(stderr).toMatch(/\d 99\n/)
  expect(stderr).toMatch(/\d lo\n/)
  expect(stderr).not.toMatch(/eth0/)
  expect(stderr).not.toContain('RUN false')
  expect(code).toBe(0)
  const inspected = await run('skopeo', ['inspect', '--config', `oci-archive:${bench.path('out.tar')}`])
  const config = JSON.parse(inspected.stdout.toString()) as { created: string; config: { Labels: object } }
  expect(config).toMatchObject({ created: '2023-11-14T22:13:20Z', config: { Labels: { 'a.b': 'c' } } })
  const metadata = JSON.parse(await readFile(bench.path('metadata'), 'utf8')) as Record<string, string>
  expect(await readFile(bench.path('iid'), 'utf8')).toBe(metadata['containerimage.config.digest'])
  expect(metadata['image.name']).toBe('docker.io/x/y:1')
})

test('stages of --no-cache-filter run again, the others are taken from the cache', async () => {
  await bench.write({
    Dockerfile: 'FROM base AS one\nRUN echo 1 > /1\nFROM base AS two\nRUN echo 2 > /2\nCOPY --from=one /1 /1\n',
  })
  const first = await bench.build(['--progress=plain'])
  expect(first.code).toBe(0)
  const again = await bench.build(['--progress=plain', '--no-cache-filter', 'One'])
  expect(again.stderr).toMatch(/#(\d+) \[one [^\n]*RUN echo 1 > \/1\n#\1 not cached: [^\n]*\n(?:#\1 [^\n]*\n)*#\1 DONE/)
  expect(again.stderr).toMatch(/#(\d+) \[two [^\n]*RUN echo 2 > \/2\n#\1 CACHED/)
  const cached = await bench.build(['--progress=plain'])
  expect(cached.stderr).not.toContain('not cached')
})

test('a quiet build prints the image’s ID and nothing else', async () => {
  await bench.write({ Dockerfile: 'FROM base\nRUN echo noise\n' })
  const { code, stdout, stderr } = await bench.build(['-q', '--iidfile', 'iid'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/)
  expect(await readFile(bench.path('iid'), 'utf8')).toBe(stdout.trim())
  const none = await bench.build(['--progress=none'])
  expect(none).toEqual({ code: 0, stdout: '', stderr: '' })
})

test('an archive on standard output is not mixed with progress', async () => {
  await bench.write({ Dockerfile: 'FROM scratch\nCOPY a /a\n', a: 'content' })
  const { code, stdout, stderr } = await bench.build(['-o', 'type=tar,dest=-'])
  expect(code).toBe(0)
  expect(stdout).toContain('content')
  expect(stdout).not.toContain('DONE')
  expect(stderr).toMatch(/#\d+ \[1\/1\] COPY a \/a/)
})

test('the Dockerfile may come from standard input, and the form of progress from the environment', async () => {
  const env = { BUILDKIT_PROGRESS: 'rawjson' }
  const { code, stderr } = await bench.build(['-f', '-'], { env }, 'FROM base\nRUN echo from-stdin\n')
  expect(code).toBe(0)
  const statuses = stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { logs?: { data: string }[]; vertexes?: { name: string }[] })
  const logs = statuses.flatMap((status) => status.logs ?? [])
  expect(logs.map(({ data }) => Buffer.from(data, 'base64').toString())).toEqual(['from-stdin\n'])
  expect(statuses.flatMap((status) => status.vertexes ?? []).map(({ name }) => name)).toContain(
    '[2/2] RUN echo from-stdin',
  )
})

test('a step that fails shows its last lines, its exit code and its place', async () => {
  await bench.write({ Dockerfile: 'FROM base\nRUN seq 1 50 && echo oops >&2 && exit 3\n' })
  const { code, stdout, stderr } = await bench.build([])
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  const lines = stderr.split('\n')
  const tail = lines.slice(lines.indexOf('------'))
  expect(tail.map((line) => line.replace(/^\d+\.\d{3} /, ''))).toEqual([
    '------',
    ' > [2/2] RUN seq 1 50 && echo oops >&2 && exit 3:',
    ...Array.from({ length: 10 }, () => expect.stringMatching(/^(?:\d+|oops)$/) as string),
    '------',
    'Dockerfile:2',
    '--------------------',
    '   1 |     FROM base',
    '   2 | >>> RUN seq 1 50 && echo oops >&2 && exit 3',
    '   3 |     ',
    '--------------------',
    expect.stringMatching(
      /^ERROR: failed to build: failed to solve: process "\/bin\/sh -c seq .*" did not complete successfully: exit code: 3$/,
    ),
    '',
  ])
})

test('warnings are counted at the end, and told at length on request', async () => {
  await bench.write({ Dockerfile: 'FROM base AS Big\nRUN true\n' })
  const short = await bench.build([])
  expect(short.stderr).toContain('\n 1 warning found (use --debug to expand):\n - StageNameCasing: ')
  const long = await bench.build(['-D'])
  expect(long.stderr).toMatch(/ 1 warning found:\n - StageNameCasing: .*\n.*\nMore info: https:.*\nDockerfile:1\n/)
})

test('--check builds nothing', async () => {
  await bench.write({ Dockerfile: 'FROM base AS Big\nRUN false\n' })
  expect(await bench.build(['--check'])).toMatchObject({
    code: 1,
    stdout: expect.stringContaining('WARNING: StageNameCasing') as string,
  })
  await bench.write({ Dockerfile: 'FROM base\nRUN false\n' })
  expect(await bench.build(['--check'])).toMatchObject({ code: 0, stdout: 'Check complete, no warnings found.\n' })
})

test('credentials are looked for where DOCKER_CONFIG says', async () => {
  await bench.write({ Dockerfile: 'FROM base\n' })
  await mkdir(bench.path('docker'))
  await writeFile(bench.path('docker/config.json'), '{ "auths": "wrong" }')
  const { code, stderr } = await bench.build([], { env: { DOCKER_CONFIG: bench.path('docker') } })
  expect(code).toBe(1)
  expect(stderr).toContain(bench.path('docker/config.json'))
})

test.for<[string[], string]>([
  [['--nonsense'], "unknown option '--nonsense'"],
  [['--progress=fancy'], '--progress "fancy" is unknown'],
  [['--secret=id=a,src=/nowhere'], '--secret a cannot be read'],
  [['another'], "'slipway build' requires 1 argument"],
])('%j is wrong use', async ([flags, message]) => {
  const { code, stdout, stderr } = await bench.build(flags)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toContain(message)
  expect(stderr).not.toMatch(/\n +at /)
})
