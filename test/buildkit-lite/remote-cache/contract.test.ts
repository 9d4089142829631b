import { expect, test } from 'vitest'
import { readCacheSource, readCacheTarget } from '../../../buildkit-lite/remote-cache/contract.ts'

const target = ({ type = '', ...fields }: Record<string, string>) => readCacheTarget({ type, fields })
const source = ({ type = '', ...fields }: Record<string, string>) => readCacheSource({ type, fields })

test('what --cache-to says of the form', () => {
  const form = { mode: 'min', imageManifest: true, ociMediaTypes: true, compression: null, ignoreError: false }
  expect(target({ type: 'registry', ref: 'r.test/a:b' })).toMatchObject({ kind: 'registry', ...form })
  expect(target({ type: 'local', dest: '/d' })).toEqual({ kind: 'local', directory: '/d', tag: 'latest', ...form })
  expect(target({ type: 'inline' })).toEqual({ kind: 'inline' })
  const other = { mode: 'max', 'oci-mediatypes': 'false', compression: 'uncompressed', 'ignore-error': 'true' }
  expect(target({ type: 'local', dest: '/d', tag: 't', ...other })).toMatchObject({
    tag: 't',
    mode: 'max',
    imageManifest: false,
    ociMediaTypes: false,
    compression: 'none',
    ignoreError: true,
  })
})

test('what --cache-from says', () => {
  expect(source({ type: 'registry', ref: 'a/b' })).toMatchObject({ reference: { repository: 'a/b', tag: null } })
  expect(source({ type: 'local', src: '/d' })).toMatchObject({ pick: { kind: 'tag', tag: 'latest' } })
  expect(source({ type: 'local', src: '/d', digest: 'sha256:0' })).toMatchObject({ pick: { kind: 'digest' } })
})

test.for<[string, () => unknown, string]>([
  ['no name', () => target({ type: 'registry' }), 'nothing for ref'],
  ['no directory', () => source({ type: 'local' }), 'nothing for src'],
  ['another mode', () => target({ type: 'local', dest: '/d', mode: 'all' }), '"all" for mode'],
  ['another type', () => target({ type: 's3', bucket: 'b' }), 'of type "s3", expected registry, local or inline'],
  ['an inline source', () => source({ type: 'inline' }), 'of type "inline"'],
  [
    'Docker’s types of an image manifest',
    () => target({ type: 'registry', ref: 'a', 'image-manifest': 'true', 'oci-mediatypes': 'false' }),
    'it needs oci-mediatypes=true',
  ],
])('refuses %s', ([, read, message]) => {
  expect(read).toThrow(message)
})
