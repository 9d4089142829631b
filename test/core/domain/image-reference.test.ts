import { expect, test } from 'vitest'
import { formatImageReference, isLoopbackRegistry, namesRegistry, parseImageReference } from '#domain/image-reference'

const digest = `sha256:${'a'.repeat(64)}`

test.for([
  ['debian', 'docker.io/library/debian:latest'],
  ['debian:12', 'docker.io/library/debian:12'],
  ['grafana/grafana', 'docker.io/grafana/grafana:latest'],
  ['index.docker.io/library/debian:12', 'docker.io/library/debian:12'],
  ['ghcr.io/acme/web', 'ghcr.io/acme/web:latest'],
  ['localhost/web', 'localhost/web:latest'],
  ['127.0.0.1:3000/acme/web:v1', '127.0.0.1:3000/acme/web:v1'],
  ['[::1]:5000/web', '[::1]:5000/web:latest'],
  [`debian@${digest}`, `docker.io/library/debian@${digest}`],
  [`debian:12@${digest}`, `docker.io/library/debian:12@${digest}`],
  ['acme/my__app-1.x/part', 'docker.io/acme/my__app-1.x/part:latest'],
] as const)('%s is %s', ([text, whole]) => {
  expect(formatImageReference(parseImageReference(text))).toBe(whole)
})

test.for([
  ['', 'a repository'],
  ['Debian', 'lower-case'],
  ['debian:', 'bad tag'],
  ['debian:-x', 'bad tag'],
  [`debian:${'x'.repeat(129)}`, 'bad tag'],
  ['debian@sha256:123', 'bad digest'],
  ['acme//web', 'lower-case'],
  ['../etc/passwd', 'bad registry'],
  ['acme/web;id', 'lower-case'],
  ['ghcr.io/', 'lower-case'],
  ['-x.example.com/web', 'bad registry'],
] as const)('%j is refused: %s', ([text, why]) => {
  expect(() => parseImageReference(text)).toThrow(why)
})

test.for([
  ['debian', false],
  ['acme/web', false],
  ['ghcr.io/acme/web', true],
  ['host:5000/web', true],
  ['localhost/web', true],
] as const)('%s names its registry: %s', ([text, names]) => {
  expect(namesRegistry(text)).toBe(names)
})

test.for([
  ['127.0.0.1:3000', true],
  ['127.9.9.9', true],
  ['localhost:80', true],
  ['[::1]:5000', true],
  ['127.example.com', false],
  ['docker.io', false],
] as const)('%s is on loopback: %s', ([registry, is]) => {
  expect(isLoopbackRegistry(registry)).toBe(is)
})
