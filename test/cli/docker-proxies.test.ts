import { mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readProxyArgs } from '../../cli/docker-proxies.ts'

test('proxies of docker’s config are build arguments, but for those that are given', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-proxies-'))
  const path = join(dir.path, 'config.json')
  expect(await readProxyArgs(path, {})).toEqual({})
  const proxies = { default: { httpProxy: 'http://p:1', httpsProxy: 'http://p:2', noProxy: '*.local' } }
  await writeFile(path, JSON.stringify({ auths: {}, proxies }))
  expect(await readProxyArgs(path, { https_proxy: 'mine', NO_PROXY: '' })).toEqual({
    HTTP_PROXY: 'http://p:1',
    http_proxy: 'http://p:1',
  })
  for (const odd of ['{"proxies": 5}', '{"proxies":{}}', 'not JSON']) {
    await writeFile(path, odd)
    expect(await readProxyArgs(path, {})).toEqual({})
  }
})
