import { mkdtempDisposable, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { DEFAULT_IMAGE_SETTINGS, type ImageSettings, type ProvenanceSettings } from '#buildkit-lite'
import type { BuildBench } from './build-bench.ts'
import { inspect, type OutputBench, openOutputBench, PLATFORMS, skopeo } from './output-bench.ts'

let outputs: OutputBench

beforeAll(async () => {
  outputs = await openOutputBench('attested')
})
afterAll(() => outputs[Symbol.asyncDispose]())

const build: BuildBench['buildPlatforms'] = (...args) => outputs.bench.buildPlatforms(...args)
const openDir = async (name: string) => await mkdtempDisposable(join(outputs.bench.dataDir, `${name}-`))

interface Listed {
  externalRefs?: { referenceLocator: string }[]
}

const PROVENANCE: ProvenanceSettings = {
  mode: 'max',
  version: 'v0.2',
  builderId: 'https://ci.test/1',
  reproducible: false,
}

test('provenance and packages are attached, and can be had by others', async () => {
  const image: ImageSettings = {
    ...DEFAULT_IMAGE_SETTINGS,
    provenance: PROVENANCE,
    sbom: true,
  }
  const status = 'Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:1.3.dfsg-3\n\n'
  const dockerfile = `FROM multi AS tools
ARG BUILDKIT_SBOM_SCAN_STAGE=true
COPY package.json /node_modules/right/package.json
FROM multi
COPY --from=tools /bin/tool /bin/tool
ARG SECRET_NAME
COPY status /var/lib/dpkg/status
COPY package.json /app/node_modules/@acme/left/package.json
`
  const files = {
    Dockerfile: dockerfile,
    status,
    'package.json': '{"name":"@acme/left","version":"1.2.0","license":"MIT"}',
  }
  const { result } = await build(files, PLATFORMS, { image, buildArgs: { SECRET_NAME: 'x' } })
  await outputs.send(result, 'type=registry,compression=zstd', [`${outputs.bench.host}/acme/attested:v1`])
  const index = await inspect('--raw', ...outputs.remote('acme/attested:v1'))
  expect(index.manifests.map(({ platform }: { platform: object }) => platform)).toEqual([
    { architecture: 'amd64', os: 'linux' },
    { architecture: 'arm64', os: 'linux' },
    { architecture: 'unknown', os: 'unknown' },
    { architecture: 'unknown', os: 'unknown' },
  ])
  const [amd64, , attestation] = index.manifests
  expect(attestation.annotations).toEqual({
    'vnd.docker.reference.type': 'attestation-manifest',
    'vnd.docker.reference.digest': amd64.digest,
  })
  const manifest = await inspect('--raw', ...outputs.remote(`acme/attested@${attestation.digest}`))
  expect(manifest).toMatchObject({
    artifactType: 'application/vnd.docker.attestation.manifest.v1+json',
    subject: { digest: amd64.digest },
  })
  const blobs = `http://${outputs.bench.host}/v2/acme/attested/blobs`
  const statements = await Promise.all(
    manifest.layers.map(async ({ digest }: { digest: string }) => (await fetch(`${blobs}/${digest}`)).json()),
  )
  const name = `pkg:docker/${encodeURIComponent(outputs.bench.host)}/acme/attested@v1?platform=linux%2Famd64`
  const subject = [{ name, digest: { sha256: amd64.digest.slice('sha256:'.length) } }]
  const [sbom, tools, provenance] = statements
  expect(sbom).toMatchObject({ predicateType: 'https://spdx.dev/Document', subject })
  expect(
    sbom.predicate.packages.flatMap(({ externalRefs = [] }: Listed) => externalRefs.map((one) => one.referenceLocator)),
  ).toEqual(['pkg:deb/zlib1g@1%3A1.3.dfsg-3?arch=amd64', 'pkg:npm/%40acme/left@1.2.0'])
  expect(tools.predicate).toMatchObject({ name: 'sbom-tools', packages: [{}, { name: '@acme/left' }] })
  expect(provenance).toMatchObject({ predicateType: 'https://slsa.dev/provenance/v0.2', subject })
  expect(provenance.predicate).toMatchObject({
    builder: { id: 'https://ci.test/1' },
    materials: [
      { uri: `pkg:docker/${encodeURIComponent(outputs.bench.host)}/library/multi@latest?platform=linux%2Famd64` },
    ],
    invocation: { parameters: { args: { 'build-arg:SECRET_NAME': 'x' }, frontend: 'dockerfile.v0' } },
    metadata: { completeness: { parameters: true, environment: true, materials: false } },
  })
  await using dir = await openDir('attested')
  await skopeo(
    'copy',
    '--quiet',
    '--all',
    '--src-tls-verify=false',
    `docker://${outputs.bench.host}/acme/attested:v1`,
    `oci:${dir.path}/o:v1`,
  )
  await outputs.send(result, `type=local,dest=${dir.path}/local`)
  expect((await readdir(join(dir.path, 'local/linux_arm64'))).sort()).toEqual([
    'app',
    'bin',
    'provenance.json',
    'sbom-tools.spdx.json',
    'sbom.spdx.json',
    'var',
  ])
  const exported = JSON.parse(await readFile(join(dir.path, 'local/linux_arm64/provenance.json'), 'utf8'))
  expect(exported.subject.map((one: { name: string }) => one.name)).toContain('bin/tool')
  const inline = { ...image, sbom: false, provenance: { ...PROVENANCE, inlineOnly: true } }
  const quiet = await build(files, ['linux/amd64'], { image: inline })
  await outputs.send(quiet.result, `type=local,dest=${dir.path}/quiet`)
  expect((await readdir(join(dir.path, 'quiet'))).sort()).toEqual(['app', 'bin', 'var'])
})
