import { mkdir, mkdtempDisposable, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { findPackages } from '../../../buildkit-lite/attest/find-packages.ts'
import { composeDocument } from '../../../buildkit-lite/attest/sbom.ts'

const never = new AbortController().signal

async function writeRoot(files: Record<string, string>) {
  const dir = await mkdtempDisposable(join(tmpdir(), 'slip-packages-'))
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(dir.path, name)), { recursive: true })
    await writeFile(join(dir.path, name), content)
  }
  return dir
}

const purls = async (root: string) => (await findPackages(root, never)).map(({ purl }) => purl)

const STATUS = `Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u4
Description: GNU C Library
 Package: not-a-field

Package: removed
Status: deinstall ok config-files
Version: 1
`

test('packages of dpkg are those that are installed, named with their distribution', async () => {
  await using root = await writeRoot({
    'etc/os-release': 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="12"\n',
    'var/lib/dpkg/status': STATUS,
    'var/lib/dpkg/status.d/tzdata': 'Package: tzdata\nVersion: 2024a-0\nArchitecture: all\n',
    'var/lib/dpkg/status.d/tzdata.md5sums': 'Package: wrong\nVersion: 1\n',
  })
  expect(await purls(root.path)).toEqual([
    'pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?arch=amd64&distro=debian-12',
    'pkg:deb/debian/tzdata@2024a-0?arch=all&distro=debian-12',
  ])
})

test('packages of apk, once, whichever way their database is reached', async () => {
  await using root = await writeRoot({
    'usr/lib/os-release': "ID='alpine'\nVERSION_ID=3.20.1\n",
    'usr/lib/apk/db/installed':
      'C:Q1x\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\nF:lib\n\nP:busybox\nV:1.36-r1\nA:x86_64\nL:a b\n',
  })
  await symlink('usr/lib', join(root.path, 'lib'))
  const found = await findPackages(root.path, never)
  expect(found).toMatchObject([
    { purl: 'pkg:apk/alpine/busybox@1.36-r1?arch=x86_64&distro=alpine-3.20.1', license: null },
    { purl: 'pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64&distro=alpine-3.20.1', license: 'MIT' },
  ])
})

test('packages of Node.js and Python, as they are installed', async () => {
  await using root = await writeRoot({
    'app/package.json': '{"name":"app","version":"1.0.0"}',
    'app/node_modules/left/package.json': '{"name":"left","version":"1.0.0","license":"(MIT OR Apache-2.0)"}',
    'app/node_modules/left/lib/package.json': '{"name":"inner","version":"9"}',
    'app/node_modules/@acme/right/package.json': '{"name":"@acme/right","version":"2.0.0"}',
    'app/node_modules/@acme/right/node_modules/left/package.json': '{"name":"left","version":"0.9.0"}',
    'app/node_modules/broken/package.json': '{"name":',
    'usr/lib/python3/Foo_Bar-1.2.dist-info/METADATA':
      'Metadata-Version: 2.4\nName: Foo_Bar\nVersion: 1.2\nLicense-Expression: BSD-3-Clause\n\nName: no\n',
    'usr/lib/python3/old.egg-info/PKG-INFO': 'Name: old\nVersion: 3\nLicense: UNKNOWN\n',
  })
  const found = await findPackages(root.path, never)
  expect(found.map(({ purl, license }) => [purl, license])).toEqual([
    ['pkg:npm/%40acme/right@2.0.0', null],
    ['pkg:npm/left@0.9.0', null],
    ['pkg:npm/left@1.0.0', '(MIT OR Apache-2.0)'],
    ['pkg:pypi/foo-bar@1.2', 'BSD-3-Clause'],
    ['pkg:pypi/old@3', null],
  ])
})

test('links that lead out of the image are followed inside it', async () => {
  await using outside = await writeRoot({ status: STATUS })
  await using root = await writeRoot({ 'var/lib/dpkg/keep': '' })
  await symlink(join(outside.path, 'status'), join(root.path, 'var/lib/dpkg/status'))
  await symlink(outside.path, join(root.path, 'node_modules'))
  expect(await purls(root.path)).toEqual([])
})

test('the document names every package once, and the same packages make the same bytes', () => {
  const one = { name: 'left', version: '1', purl: 'pkg:npm/left@1', license: 'MIT', path: '/n/package.json' }
  const place = { name: 'sbom', id: 'sha256:abc', created: '2020-01-01T00:00:00Z' }
  const document = composeDocument([one], place)
  expect(document).toMatchObject({
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    creationInfo: { created: '2020-01-01T00:00:00Z' },
    packages: [
      { SPDXID: 'SPDXRef-DocumentRoot' },
      {
        name: 'left',
        versionInfo: '1',
        licenseDeclared: 'MIT',
        externalRefs: [{ referenceLocator: 'pkg:npm/left@1' }],
      },
    ],
  })
  expect(document['relationships']).toHaveLength(2)
  expect(JSON.stringify(composeDocument([one], place))).toBe(JSON.stringify(document))
})
