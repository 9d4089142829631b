import { expect, test } from 'vitest'
import { DEFAULT_IMAGE_SETTINGS } from '#buildkit-lite'
import { readNames } from '../../cli/build-outputs.ts'
import { UsageError } from '../../cli/exit-codes.ts'
import { readOutputs } from '../../cli/read-outputs.ts'

const read = (output: string[], push = false, tag = ['h.io/a']) =>
  readOutputs({ output, push, tag }, DEFAULT_IMAGE_SETTINGS)

const names = ['h.io/a']
const push = { byDigestOnly: false, isCanonical: false, isInsecure: false }

test.for<[string, object]>([
  ['type=oci,dest=/o.tar', { kind: 'oci', dest: '/o.tar', isTar: true, names }],
  ['type=oci,dest=/o,tar=false', { kind: 'oci', dest: '/o', isTar: false }],
  ['type=docker', { kind: 'docker', dest: '-', isTar: true }],
  ['type=tar,dest=-', { kind: 'tar', dest: '-', files: { splitsPlatforms: null, attestationPrefix: '' } }],
  ['type=tar,platform-split=false', { kind: 'tar', files: { splitsPlatforms: false } }],
  ['type=local,dest=/out', { kind: 'local', dest: '/out', mode: 'copy' }],
  ['type=local,dest=/out,mode=delete,attestation-prefix=a-', { mode: 'delete', files: { attestationPrefix: 'a-' } }],
  ['/out', { kind: 'local', dest: '/out' }],
  ['-', { kind: 'tar', dest: '-' }],
  ['type=registry', { kind: 'image', push, names }],
  ['type=image', { kind: 'image', push: null }],
  ['type=image,push=true,name=h.io/b', { kind: 'image', push, names: ['h.io/b'] }],
  ['type=image,"name=h.io/b,h.io/c",push', { push, names: ['h.io/b', 'h.io/c'] }],
  ['type=registry,push-by-digest=true,name-canonical=1', { push: { ...push, byDigestOnly: true, isCanonical: true } }],
  ['type=registry,registry.insecure=true', { push: { ...push, isInsecure: true } }],
  ['type=cacheonly', { kind: 'cacheonly' }],
])('-o %s', ([output, expected]) => {
  expect(read([output])).toMatchObject([expected])
})

test.for<[string, object]>([
  ['compression=zstd', { compression: { kind: 'zstd', level: null, force: false } }],
  ['compression=uncompressed,force-compression=true', { compression: { kind: 'none', force: true } }],
  ['compression-level=9', { compression: { kind: 'gzip', level: 9 } }],
  ['oci-mediatypes=false', { ociMediaTypes: false }],
  ['rewrite-timestamp=true', { rewriteTimestamp: true }],
  ['annotation.a.b=c=d', { annotations: [{ place: 'manifest', platform: null, name: 'a.b', value: 'c=d' }] }],
  [
    'annotation-manifest-descriptor[linux/arm64].k=v',
    {
      annotations: [
        { place: 'manifest-descriptor', platform: { os: 'linux', architecture: 'arm64' }, name: 'k', value: 'v' },
      ],
    },
  ],
])('an image of -o type=oci,%s', ([text, settings]) => {
  expect(read([`type=oci,dest=/o,${text}`])).toMatchObject([{ settings }])
})

test('the build’s own annotations come first', () => {
  const own = { place: 'manifest' as const, platform: null, name: 'own', value: '1' }
  const outputs = readOutputs(
    { output: ['type=oci,dest=/o,annotation.more=2'], push: false, tag: [] },
    { ...DEFAULT_IMAGE_SETTINGS, annotations: [own] },
  )
  expect(outputs).toMatchObject([{ settings: { annotations: [own, { name: 'more' }] } }])
})

test.for<[string, string]>([
  ['type=zip', 'expected one of local, tar, oci, docker, image, registry, cacheonly'],
  ['dest=/x', 'has the type ""'],
  ['type=local', 'needs dest=DIRECTORY'],
  ['type=local,dest=/,mode=delete', 'would empty /'],
  ['type=local,dest=/x,mode=move', 'mode "move", expected copy or delete'],
  ['type=oci,dest=/x,colour=red', 'unknown key "colour", expected one of dest, tar, name, compression'],
  ['type=oci,tar=false', 'needs dest=DIRECTORY'],
  ['type=docker,tar=false,dest=/x', 'use type=oci for a directory'],
  ['type=oci,dest=/x,tar=maybe', 'tar=maybe, expected true or false'],
  ['type=oci,dest=/x,compression=estargz', 'estargz is not supported, use gzip or zstd'],
  ['type=oci,dest=/x,compression=lzma', 'compression=lzma, expected one of gzip, zstd, uncompressed'],
  ['type=oci,dest=/x,compression-level=10', 'expected a number from 0 to 9'],
  ['type=oci,dest=/x,annotation-layer.a=b', 'unknown key "annotation-layer.a"'],
  ['type=oci,dest=/x,annotation[moon].a=b', 'failed to parse platform moon'],
  ['type=tar,dest=/x,compression=zstd', 'unknown key "compression", expected one of dest, platform-split'],
  ['type=image,unpack=true,rewrite-timestamp=true', 'do not go together'],
  ['type=image,name=h.io/a,h.io/b', 'unknown key "h.io/b"'],
])('-o %s is a mistake', ([output, message]) => {
  expect(() => read([output])).toThrow(UsageError)
  expect(() => read([output])).toThrow(message)
})

test('--push is an output, or makes a push of the images there are, and needs a name', () => {
  expect(read([], true)).toMatchObject([{ kind: 'image', push, names }])
  expect(read(['type=image,compression=zstd', '/out'], true)).toMatchObject([
    { kind: 'image', push, settings: { compression: { kind: 'zstd' } } },
    { kind: 'local' },
  ])
  expect(() => read([], true, [])).toThrow(UsageError)
  expect(() => read(['type=registry'], false, [])).toThrow('a push needs a name')
  expect(() => read(['-', 'type=oci'])).toThrow('only one --output can go to standard output')
})

test('names without a tag are latest', () => {
  expect(readNames(['127.0.0.1:5000/a/b'])).toMatchObject([
    { registry: '127.0.0.1:5000', repository: 'a/b', tag: 'latest' },
  ])
})
