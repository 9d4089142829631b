import { mkdtempDisposable, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { exportDirectory, fetchLayers, pushImage, writeDockerArchive, writeOciArchive } from '#buildkit-lite'
import { SourceError } from '#domain/errors'
import { parseImageReference } from '#domain/image-reference'
import { run } from '#host/exec'
import { type BuildBench, openBuildBench } from './build-bench.ts'
import { never } from './busybox.ts'

let bench: BuildBench
const buildFiles: BuildBench['buildFiles'] = (...args) => bench.buildFiles(...args)

beforeAll(async () => {
  bench = await openBuildBench('images')
})
afterAll(() => bench[Symbol.asyncDispose]())

const DOCKERFILE = `FROM busybox AS build
WORKDIR /src
COPY package.json ./
RUN cat package.json > /installed
COPY . .
RUN cat main.txt package.json > /out && echo building
FROM busybox
COPY --from=build --chown=app /out /srv/out
USER app
RUN id -u; cat /srv/out; echo "$BASE"
CMD ["cat", "/srv/out"]
`
const FILES = { Dockerfile: DOCKERFILE, '.dockerignore': 'Dockerfile\n', 'package.json': 'p1\n', 'main.txt': 'm1\n' }

test('stages are built, cached and rebuilt only from the change on', async () => {
  const first = await buildFiles(FILES)
  expect(first.ran).toHaveLength(7)
  expect(first.output).toContain('1001\nm1\np1\n1\n')
  expect(await bench.readInside(first.image, 'srv/out')).toBe('m1\np1\n')

  const again = await buildFiles(FILES)
  expect(again.ran).toEqual([])
  expect(again.image.manifestDigest).toBe(first.image.manifestDigest)

  const changed = await buildFiles({ ...FILES, 'main.txt': 'm2\n' })
  expect(changed.ran).toEqual([
    'COPY . .',
    'RUN cat main.txt package.json > /out && echo building',
    'COPY --from=build --chown=app /out /srv/out',
    'RUN id -u; cat /srv/out; echo "$BASE"',
  ])
  expect(changed.reasons[0]).toBe('main.txt changed')
  expect(await bench.readInside(changed.image, 'srv/out')).toBe('m2\np1\n')
})

test('a stage that ran again to the same files changes nothing behind it', async () => {
  const dockerfile = (text: string) =>
    `FROM busybox AS build\nRUN echo ${text} > /noise; echo same > /out\nFROM busybox\nCOPY --from=build /out /out\nRUN cat /out\n`
  const first = await buildFiles({ Dockerfile: dockerfile('one') })
  const second = await buildFiles({ Dockerfile: dockerfile('two') })
  expect(second.ran).toEqual(['RUN echo two > /noise; echo same > /out'])
  expect(second.image.manifestDigest).toBe(first.image.manifestDigest)
})

test('a failing RUN says its exit code and where it stands', async () => {
  const failure = await buildFiles({ Dockerfile: 'FROM busybox\nRUN true\nRUN echo oh; exit 7\n' }).catch(
    (error) => error,
  )
  expect(failure).toBeInstanceOf(SourceError)
  expect(failure).toMatchObject({
    kind: 'step-failed',
    message: 'process "/bin/sh -c echo oh; exit 7" did not complete successfully: exit code: 7',
    file: 'Dockerfile',
    line: 3,
  })
  expect(failure.excerpt).toContain('>>> RUN echo oh; exit 7')
})

test('a step that eats all memory is told so', async () => {
  const dockerfile = 'FROM busybox\nRUN head -c 600m /dev/zero | tail -n 1 > /dev/null\n'
  await expect(buildFiles({ Dockerfile: dockerfile })).rejects.toMatchObject({ kind: 'out-of-memory', line: 2 })
})

test.for<[string, Record<string, string>, string]>([
  ['that is not there', { Dockerfile: 'FROM busybox\nCOPY nope /x\n' }, '"/nope": not found'],
  [
    'that is ignored',
    { Dockerfile: 'FROM busybox\nCOPY hidden /x\n', hidden: 'h', '.dockerignore': 'hidden\n' },
    '"/hidden": not found: .dockerignore line 1 ("hidden") hides it',
  ],
])('a source %s is named', async ([, files, message]) => {
  await expect(buildFiles(files)).rejects.toMatchObject({ kind: 'context-invalid', message, line: 2 })
})

test('mounts are there during the step and leave nothing behind', async () => {
  const dockerfile = `FROM busybox
RUN --mount=type=secret,id=key,target=/deep/new/key --mount=type=cache,target=/cached --mount=target=/ctx \\
  cat /deep/new/key /ctx/file; echo kept >> /cached/log; wc -l < /cached/log; touch /ctx/no 2>/dev/null || echo read-only
RUN ls -d /deep /cached /ctx /proc /etc/resolv.conf 2>/dev/null; ls /
`
  const secrets = { key: Buffer.from('s3cret\n') }
  const first = await buildFiles({ Dockerfile: dockerfile, file: 'bound\n' }, { secrets })
  expect(first.output).toContain('s3cret\nbound\n1\nread-only\n')
  const again = await buildFiles({ Dockerfile: dockerfile, file: 'bound\n' }, { secrets, useCache: false })
  expect(again.output).toContain('s3cret\nbound\n2\nread-only\n')
  await using dir = await mkdtempDisposable(join(bench.dataDir, 'export-'))
  await exportDirectory(first.image, dir.path, bench.tools, never)
  const { stdout } = await run('find', [dir.path, '-mindepth', '1', '-maxdepth', '1', '-printf', '%f\n'])
  expect(stdout.toString().split('\n').filter(Boolean).sort()).toEqual(['bin', 'etc', 'tmp'])
})

test('what is pushed and exported verifies', async () => {
  const { image } = await buildFiles(FILES)
  const name = parseImageReference(`${bench.host}/acme/web:v1`)
  await pushImage(image, [name], bench.tools.registry, never)
  await using dir = await mkdtempDisposable(join(bench.dataDir, 'skopeo-'))
  const copy = async (source: string, more: string[] = []) =>
    await run('skopeo', ['copy', '--quiet', ...more, source, `dir:${join(dir.path, 'out')}`])
  await copy(`docker://${bench.host}/acme/web:v1`, ['--src-tls-verify=false'])
  const manifest = await readFile(join(dir.path, 'out/manifest.json'))
  expect(manifest.equals(image.manifest)).toBe(true)
  await fetchLayers(image, bench.tools, never)
  await writeOciArchive({ image, names: [name], path: join(dir.path, 'oci.tar') }, bench.tools.blobs, never)
  await copy(`oci-archive:${join(dir.path, 'oci.tar')}`)
  await writeDockerArchive({ image, names: [name], path: join(dir.path, 'docker.tar') }, bench.tools.blobs, never)
  await copy(`docker-archive:${join(dir.path, 'docker.tar')}`)
})
