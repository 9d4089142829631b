import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readRegistries } from '#host/registries'

async function read(content: string) {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-registries-'))
  const path = join(dir.path, 'registries.json')
  await writeFile(path, content)
  return await readRegistries(path)
}

test('nothing is said where there is no file', async () => {
  expect(await readRegistries(null)).toEqual({ blocked: [], insecure: [], mirrors: {}, credentials: {}, file: null })
})

test('every part is read', async () => {
  const content = {
    searchOrder: ['127.0.0.1:3000', 'docker.io'],
    blocked: ['bad.test'],
    insecure: ['lan:5000'],
    mirrors: { 'docker.io': ['mirror.lan:5000', 'cache.lan/hub'] },
    credentials: { 'lan:5000': { username: 'a', password: 'b' } },
  }
  const { file, ...registries } = await read(JSON.stringify(content))
  expect(registries).toEqual(content)
  expect(file).toContain('registries.json')
})

test.for<[string, string, RegExp]>([
  ['an unknown part', '{"search":[]}', /registries\.json is wrong: .*"search"/],
  ['an address in place of a host', '{"blocked":["https://a.test/"]}', /blocked\.0: a registry is HOST or HOST:PORT/],
  ['what is no JSON', 'searchOrder:', /registries\.json is wrong/],
])('%s is refused in words', async ([, content, message]) => {
  await expect(read(content)).rejects.toMatchObject({ kind: 'invalid', message: expect.stringMatching(message) })
})
