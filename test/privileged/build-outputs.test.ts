import { lstat, mkdtempDisposable, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { DEFAULT_IMAGE_SETTINGS, writeResult } from '#buildkit-lite'
import { run } from '#host/exec'
import type { BuildBench } from './build-bench.ts'
import { never } from './busybox.ts'
import { inspect, type OutputBench, openOutputBench, PLATFORMS, skopeo } from './output-bench.ts'

let outputs: OutputBench

beforeAll(async () => {
  outputs = await openOutputBench('outputs')
})
afterAll(() => outputs[Symbol.asyncDispose]())

const build: BuildBench['buildPlatforms'] = (...args) => outputs.bench.buildPlatforms(...args)
const openDir = async (name: string) => await mkdtempDisposable(join(outputs.bench.dataDir, `${name}-`))

const MULTI = `FROM --platform=$BUILDPLATFORM busybox AS build
RUN cat /etc/passwd > /made
FROM multi
ARG TARGETARCH
COPY --from=build /made /made
ENV ARCH=$TARGETARCH
LABEL who=me
`

test.for([true, false])('a stage of the build platform runs once for all targets (cache: %s)', async (useCache) => {
  const { result, ran } = await build({ Dockerfile: MULTI }, PLATFORMS, { useCache })
  expect(ran.filter((title) => title.includes('RUN'))).toHaveLength(1)
  expect(result.images.map(({ platform }) => platform.architecture)).toEqual(['amd64', 'arm64'])
  const index = JSON.parse(result.bytes.toString())
  expect(index).toMatchObject({ mediaType: 'application/vnd.oci.image.index.v1+json', schemaVersion: 2 })
  expect(index.manifests).toEqual(
    result.images.map(({ image, platform }) => ({
      mediaType: image.manifestMediaType,
      digest: image.manifestDigest,
      size: image.manifest.length,
      platform,
    })),
  )
  const configs = result.images.map(({ image }) => JSON.parse(image.config.toString()))
  expect(configs).toMatchObject([{ architecture: 'amd64' }, { architecture: 'arm64' }])
  expect(configs.map(({ config }) => config.Env.at(-1))).toEqual(['ARCH=amd64', 'ARCH=arm64'])
})

test('each platform of a pushed index is pulled, built on and copied by others', async () => {
  const { result } = await build({ Dockerfile: MULTI }, PLATFORMS)
  await outputs.push(result, 'acme/multi:v1')
  expect(await inspect('--raw', ...outputs.remote('acme/multi:v1'))).toEqual(JSON.parse(result.bytes.toString()))
  for (const architecture of ['amd64', 'arm64']) {
    const pulled = await inspect('--override-arch', architecture, ...outputs.remote('acme/multi:v1'))
    expect(pulled).toMatchObject({ Architecture: architecture, Labels: { who: 'me' } })
  }
  await using dir = await openDir('skopeo')
  await skopeo(
    'copy',
    '--quiet',
    '--all',
    '--src-tls-verify=false',
    `docker://${outputs.bench.host}/acme/multi:v1`,
    `dir:${dir.path}`,
  )
  const next = await build({ Dockerfile: 'FROM multi\nCOPY f /f\n', f: 'f' }, ['linux/arm64'])
  expect(await outputs.bench.readInside(next.result.images[0].image, 'bin/tool')).toBe('arm\n')
})

test('a single image without attestations is its own result', async () => {
  const files = { Dockerfile: 'FROM busybox\nCOPY f /f\n', f: 'one' }
  const { image } = await outputs.bench.buildFiles(files)
  const { result } = await build(files, ['linux/amd64'])
  expect(result).toMatchObject({ isIndex: false, digest: image.manifestDigest, mediaType: image.manifestMediaType })
})

test('layouts hold every platform and every name', async () => {
  const { result } = await build({ Dockerfile: MULTI }, PLATFORMS)
  await using dir = await openDir('layout')
  const tags = ['h.io/a:v1', 'h.io/b:v2']
  await outputs.send(result, `type=oci,dest=${dir.path}/oci.tar`, tags)
  await outputs.send(result, `type=oci,tar=false,dest=${dir.path}/layout`, tags)
  const index = JSON.parse(await readFile(join(dir.path, 'layout/index.json'), 'utf8'))
  expect(index.manifests).toMatchObject([
    { digest: result.digest, annotations: { 'org.opencontainers.image.ref.name': 'v1' } },
    { digest: result.digest, annotations: { 'org.opencontainers.image.ref.name': 'v2' } },
  ])
  for (const source of [`oci-archive:${dir.path}/oci.tar:v2`, `oci:${dir.path}/layout:v1`])
    expect(await inspect('--override-arch', 'arm64', source)).toMatchObject({ Architecture: 'arm64' })
  const other = await build({ Dockerfile: 'FROM multi\n' }, ['linux/arm64'])
  await outputs.send(other.result, `type=oci,tar=false,dest=${dir.path}/layout`, ['h.io/b:v2'])
  const after = JSON.parse(await readFile(join(dir.path, 'layout/index.json'), 'utf8'))
  expect(after.manifests.map(({ digest }: { digest: string }) => digest)).toEqual([result.digest, other.result.digest])
  await expect(outputs.send(result, `type=docker,dest=${dir.path}/docker.tar`)).rejects.toThrow(
    'docker exporter does not currently support exporting manifest lists',
  )
})

test('an archive that breaks off leaves nothing, and what was there before', async () => {
  const { result } = await build({ Dockerfile: 'FROM multi\n' }, ['linux/amd64'])
  await using dir = await openDir('broken')
  const dest = join(dir.path, 'x.tar')
  await writeFile(dest, 'before')
  const gone = AbortSignal.abort(new Error('gone'))
  await expect(outputs.send(result, `type=oci,dest=${dest}`, [], gone)).rejects.toThrow()
  await expect(outputs.send(result, `type=tar,dest=${dest}`, [], gone)).rejects.toThrow()
  expect(await readdir(dir.path)).toEqual(['x.tar'])
  expect(await readFile(dest, 'utf8')).toBe('before')
  const full = outputs.send(result, 'type=oci,dest=/dev/full')
  await expect(full).rejects.toThrow('ENOSPC')
  await symlink('x.tar', join(dir.path, 'link'))
  await outputs.send(result, `type=docker,dest=${dir.path}/link`)
  expect((await lstat(join(dir.path, 'link'))).isSymbolicLink()).toBe(true)
  expect((await readFile(dest)).length).toBeGreaterThan(1000)
})

test('a directory has each platform by itself, and mode=delete removes what is not of the image', async () => {
  const { result } = await build({ Dockerfile: 'FROM multi\n' }, PLATFORMS)
  await using dir = await openDir('local')
  await outputs.send(result, `type=local,dest=${dir.path}/split`)
  expect((await readdir(join(dir.path, 'split'))).sort()).toEqual(['linux_amd64', 'linux_arm64'])
  expect(await readFile(join(dir.path, 'split/linux_arm64/bin/tool'), 'utf8')).toBe('arm\n')
  await outputs.send(result, `type=tar,dest=${dir.path}/all.tar`)
  const { stdout } = await run('tar', ['-xOf', join(dir.path, 'all.tar'), 'linux_amd64/bin/tool'])
  expect(stdout.toString()).toBe('x86\n')
  await run('touch', ['split/old', 'split/linux_arm64/old'], { cwd: dir.path })
  await outputs.send(result, `type=local,dest=${dir.path}/split,mode=delete`)
  expect((await readdir(join(dir.path, 'split'), { recursive: true })).filter((name) => name.endsWith('old'))).toEqual(
    [],
  )
  const one = await build({ Dockerfile: 'FROM scratch\nCOPY f d/f\n', f: 'f' }, ['linux/amd64'])
  await run('sh', ['-c', 'mkdir -p o/d o/old/x; touch o/d/g o/h; ln -s /etc o/link'], { cwd: dir.path })
  await outputs.send(one.result, `type=local,dest=${dir.path}/o`)
  expect((await readdir(join(dir.path, 'o'))).sort()).toEqual(['d', 'h', 'link', 'old'])
  await outputs.send(one.result, `type=local,dest=${dir.path}/o,mode=delete`)
  expect(await readdir(join(dir.path, 'o'), { recursive: true })).toEqual(['d', 'd/f'])
})

const FORMS: [string, string, string][] = [
  ['compression=zstd', 'application/vnd.oci.image.layer.v1.tar+zstd', 'gzip'],
  ['compression=zstd,force-compression=true', 'application/vnd.oci.image.layer.v1.tar+zstd', 'zstd'],
  ['compression=uncompressed', 'application/vnd.oci.image.layer.v1.tar', 'gzip'],
  ['compression-level=9', 'application/vnd.oci.image.layer.v1.tar+gzip', 'gzip'],
  ['oci-mediatypes=false', 'application/vnd.docker.image.rootfs.diff.tar.gzip', 'gzip'],
]
test.for(FORMS)('layers are written with %s', async ([options, newest, base]) => {
  const { result } = await build({ Dockerfile: 'FROM busybox\nCOPY f /f\n', f: 'text\n'.repeat(99) }, ['linux/amd64'])
  await using dir = await openDir('form')
  const name = `docker://${outputs.bench.host}/acme/forms:v1`
  await outputs.send(result, `type=registry,${options}`, [`${outputs.bench.host}/acme/forms:v1`])
  const manifest = await inspect('--raw', ...outputs.remote('acme/forms:v1'))
  const types = manifest.layers.map(({ mediaType }: { mediaType: string }) => mediaType)
  expect(types.at(-1)).toBe(newest)
  expect(types[0]).toContain(base)
  // It checks what it unpacks against the manifest's digests.
  await skopeo('copy', '--quiet', '--src-tls-verify=false', '--dest-decompress', name, `dir:${dir.path}`)
  const config = await inspect('--config', '--raw', ...outputs.remote('acme/forms:v1'))
  expect(config.rootfs).toEqual(JSON.parse(result.images[0].image.config.toString()).rootfs)
})

test('Docker’s media types go for the index, too, and a push by digest leaves no tag', async () => {
  const { result } = await build({ Dockerfile: 'FROM multi\nCOPY f /f\n', f: 'f' }, PLATFORMS)
  const name = `${outputs.bench.host}/acme/untagged`
  await outputs.send(result, 'type=image,push-by-digest=true,oci-mediatypes=false', [name])
  const tags = await fetch(`http://${outputs.bench.host}/v2/acme/untagged/tags/list`)
  expect([200, 404]).toContain(tags.status)
  expect(await tags.text()).toMatch(/"tags":null|NAME_UNKNOWN/)
  const { digest } = await writeResult(
    result.graphs,
    { settings: { ...DEFAULT_IMAGE_SETTINGS, ociMediaTypes: false }, names: [] },
    outputs.bench.tools,
    never,
  )
  expect(await inspect('--raw', ...outputs.remote(`acme/untagged@${digest}`))).toMatchObject({
    mediaType: 'application/vnd.docker.distribution.manifest.list.v2+json',
    manifests: [
      { mediaType: 'application/vnd.docker.distribution.manifest.v2+json', platform: { architecture: 'amd64' } },
      { mediaType: 'application/vnd.docker.distribution.manifest.v2+json', platform: { architecture: 'arm64' } },
    ],
  })
  const untagged = outputs.remote(`acme/untagged@${digest}`)
  expect(await inspect('--config', '--override-arch', 'arm64', ...untagged)).toMatchObject({ architecture: 'arm64' })
})

test('annotations stand where they are asked for', async () => {
  const { result } = await build({ Dockerfile: 'FROM multi\n' }, PLATFORMS)
  await using dir = await openDir('annotations')
  const keys = [
    'annotation.a=1',
    'annotation-manifest[linux/arm64].b=2',
    'annotation-index.c=3',
    'annotation-manifest-descriptor.d=4',
    'annotation-index-descriptor.e=5',
  ]
  await outputs.send(result, `type=oci,tar=false,dest=${dir.path}/o,${keys.join(',')}`)
  const read = async (name: string) => JSON.parse(await readFile(join(dir.path, 'o', name), 'utf8'))
  const blob = async (digest: string) => await read(`blobs/sha256/${digest.slice('sha256:'.length)}`)
  const { manifests } = await read('index.json')
  expect(manifests).toMatchObject([{ annotations: { e: '5' } }])
  const index = await blob(manifests[0].digest)
  expect(index).toMatchObject({
    annotations: { c: '3' },
    manifests: [{ annotations: { d: '4' } }, { annotations: { d: '4' } }],
  })
  const [amd64, arm64] = await Promise.all(index.manifests.map(({ digest }: { digest: string }) => blob(digest)))
  expect([amd64.annotations, arm64.annotations]).toEqual([{ a: '1' }, { a: '1', b: '2' }])
  const one = await build({ Dockerfile: 'FROM multi\n' }, ['linux/amd64'])
  await expect(outputs.send(one.result, `type=oci,dest=${dir.path}/x,annotation-index.c=3`)).rejects.toThrow(
    'index annotations not supported for single platform export',
  )
})
