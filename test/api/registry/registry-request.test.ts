import { expect, test } from 'vitest'
import { parseScope } from '../../../api/registry/access.ts'
import { readRegistryPath } from '../../../api/registry/registry-request.ts'

const digest = `sha256:${'a'.repeat(64)}`
const repository = (name: string, part: string) => ({ kind: 'repository', name, part })

test.for<[string, object | null]>([
  ['/v2/', { kind: 'base' }],
  ['/v2', { kind: 'base' }],
  ['/v2/_catalog', { kind: 'catalog' }],
  ['/v2/web/manifests/latest', repository('web', 'manifest')],
  [`/v2/acme/deep/web/manifests/${digest}`, repository('acme/deep/web', 'manifest')],
  [`/v2/acme/blobs/blobs/${digest}`, repository('acme/blobs', 'blob')],
  ['/v2/a/manifests/manifests/v1', repository('a/manifests', 'manifest')],
  ['/v2/acme/web/blobs/uploads/', repository('acme/web', 'upload')],
  ['/v2/acme/web/blobs/uploads/9d3b-41', repository('acme/web', 'upload')],
  ['/v2/acme/web/tags/list', repository('acme/web', 'tags')],
  [`/v2/acme/web/referrers/${digest}`, repository('acme/web', 'referrers')],
  ['/v2/acme/../web/manifests/v1', null],
  ['/v2/Acme/web/manifests/v1', null],
  ['/v2/acme%2fweb/manifests/v1', null],
  ['/v2//manifests/v1', null],
  ['/v2/acme/web/manifests/../../x', null],
  ['/v2/acme/web', null],
  [`/v2/${'a/'.repeat(300)}a/tags/list`, null],
])('%s', ([path, expected]) => {
  expect(readRegistryPath(path)).toEqual(expected)
})

test.for<[string, object | null]>([
  ['repository:acme/web:pull', { repository: 'acme/web', actions: ['pull'] }],
  ['repository:acme/web:push,pull', { repository: 'acme/web', actions: ['pull', 'push'] }],
  ['repository:acme/web:*', { repository: 'acme/web', actions: ['pull', 'push'] }],
  ['repository:*:pull', null],
  ['repository:library/*:pull', null],
  ['registry:catalog:*', null],
  ['', null],
])('scope %s', ([text, expected]) => {
  expect(parseScope(text)).toEqual(expected)
})
