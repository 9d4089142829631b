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

const DATE = '1600000000 +0000'
const identity = {
  GIT_AUTHOR_NAME: 'a',
  GIT_AUTHOR_EMAIL: 'a@x',
  GIT_COMMITTER_NAME: 'a',
  GIT_COMMITTER_EMAIL: 'a@x',
  GIT_AUTHOR_DATE: DATE,
  GIT_COMMITTER_DATE: DATE,
}

async function repository(name: string, files: Record<string, string>, submodule?: string): Promise<string> {
  const root = bench.path(name)
  await mkdir(root)
  for (const [path, content] of Object.entries(files)) await writeFile(`${root}/${path}`, content)
  const env = { PATH: '/usr/bin:/bin', HOME: bench.dir, ...identity }
  const git = async (...args: string[]) =>
    await run('git', ['-C', root, '-c', 'protocol.file.allow=always', ...args], { env })
  await git('init', '-q', '-b', 'main')
  if (submodule) await git('submodule', '--quiet', 'add', submodule, 'lib')
  await git('add', '-A')
  await git('commit', '-qm', 'One')
  return `file://${root}`
}

test('a repository is built with its submodules, at the time of its commit', async () => {
  const lib = await repository('lib', { l: 'from the submodule' })
  const dockerfile = ['ARG SOURCE_DATE_EPOCH=context', 'FROM base', 'COPY . /src', 'RUN cat /src/lib/l; ls -A /src']
  const url = await repository(
    'top',
    { Dockerfile: dockerfile.join('\n'), hidden: '', '.dockerignore': 'hidden\n' },
    lib,
  )
  const flags = ['--progress=plain', '-o', 'type=oci,tar=false,dest=out', '--metadata-file', 'metadata']
  const { code, stderr } = await bench.build(flags, { place: `${url}#main` })
  expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining('from the submodule') })
  expect(stderr).not.toMatch(/^#\d+ [\d.]+ hidden$/m)
  const metadata = JSON.parse(await readFile(bench.path('metadata'), 'utf8'))
  const hex = String(metadata['containerimage.config.digest']).slice('sha256:'.length)
  const config = JSON.parse(await readFile(bench.path(`out/blobs/sha256/${hex}`), 'utf8'))
  expect(Date.parse(config.created)).toBe(1_600_000_000_000)
})

test('further contexts stand in for stages and images, and stages go without the cache', async () => {
  await bench.write({
    Dockerfile: [
      'FROM surely.invalid/nothing AS tools',
      'RUN never',
      'FROM base AS built',
      'RUN echo made > /made',
      'FROM base',
      'COPY --from=tools / /t/',
      'COPY --from=built /made /',
      'RUN --mount=from=alpine,target=/m ls -A /t /m',
    ].join('\n'),
  })
  await mkdir(bench.path('files'))
  for (const name of ['seen', 'hidden']) await writeFile(bench.path(`files/${name}`), '')
  await writeFile(bench.path('files/.dockerignore'), 'hidden\n.dockerignore\n')
  const contexts = [`tools=${bench.path('files')}`, `docker.io/library/alpine=${bench.path('files')}`]
  const flags = ['--progress=plain', ...contexts.flatMap((context) => ['--build-context', context])]
  const first = await bench.build(flags)
  expect({ code: first.code, stderr: first.stderr }).toMatchObject({ code: 0 })
  const printed = first.stderr.match(/^#\d+ [\d.]+ .*$/gm)?.map((line) => line.replace(/^#\d+ [\d.]+ /, ''))
  expect(printed).toEqual(expect.arrayContaining(['/t:', '/m:', 'seen']))
  expect(printed).not.toContain('hidden')
  const again = await bench.build([...flags, '--no-cache-filter', 'Built'])
  expect(again.stderr).toContain('not cached: the cache is not used')
  // Its file is the same as before, and so is what is made of it.
  expect(again.stderr.match(/ CACHED$/gm)?.length).toBeGreaterThanOrEqual(3)
})

test('a program for another machine is refused before anything is built, and an index is written where one is asked for', async () => {
  await bench.write({ Dockerfile: 'FROM base\nRUN echo built\nFROM scratch\nCOPY Dockerfile /\nRUN x' })
  const refused = await bench.build(['--progress=plain', '--platform', 'linux/s390x'])
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain('"RUN x" of stage stage-1 is for linux/s390x')
  expect(refused.stderr).toContain('5 | >>> RUN x')
  expect(refused.stderr).not.toMatch(/^#\d+ .*COPY Dockerfile/m)
  await bench.write({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /' })
  const flags = ['--platform', 'linux/s390x', '--build-arg', 'BUILDKIT_MULTI_PLATFORM=1']
  const { code } = await bench.build([...flags, '-o', 'type=oci,tar=false,dest=foreign', '--metadata-file', 'metadata'])
  expect(code).toBe(0)
  const metadata = JSON.parse(await readFile(bench.path('metadata'), 'utf8'))
  const hex = String(metadata['containerimage.digest']).slice('sha256:'.length)
  const index = JSON.parse(await readFile(bench.path(`foreign/blobs/sha256/${hex}`), 'utf8'))
  expect(index.manifests).toMatchObject([{ platform: { os: 'linux', architecture: 's390x' } }])
})
