import { readdir, readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { parseDockerfile } from '../../../buildkit-lite/dockerfile/parse.ts'
import type { ImageConfig } from '../../../buildkit-lite/image/config.ts'
import { planDockerfile } from '../../../buildkit-lite/plan/plan-dockerfile.ts'

const folder = new URL('../../fixtures/dockerfiles/', import.meta.url)
const amd64 = { os: 'linux', architecture: 'amd64' }
const config: ImageConfig = {
  architecture: 'amd64',
  os: 'linux',
  config: { Env: ['PATH=/bin'], Cmd: ['sh'] },
  rootfs: { type: 'layers', diff_ids: [] },
  history: [{ created_by: 'base' }],
}

/** Golden files: what each stage makes of a Dockerfile. `vitest -u` writes them; read the difference before. */
describe.for(await readdir(folder))('%s', (name) => {
  const file = (path: string) => new URL(`${name}/${path}`, folder)
  const parse = async () => parseDockerfile(await readFile(file('Dockerfile'), 'utf8'), 'Dockerfile')
  const print = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`

  test('is parsed', async () => {
    const { source: _source, ...parsed } = await parse()
    await expect(print(parsed)).toMatchFileSnapshot(file('parsed.json').pathname)
  })

  test('is planned', async () => {
    const plan = await planDockerfile(
      {
        dockerfile: await parse(),
        target: null,
        buildArgs: { name: 'given', HTTP_PROXY: 'http://proxy' },
        labels: { asked: 'yes' },
        platform: amd64,
        buildPlatform: amd64,
        network: 'default',
        namedContexts: { extra: { kind: 'context' }, tools: { kind: 'image', reference: 'registry.example/tools:1' } },
        resolver: {
          resolve: async (reference) => ({ reference, manifestDigest: 'sha256:0', config, layers: [], source: 'test' }),
        },
      },
      new AbortController().signal,
    )
    await expect(print(plan)).toMatchFileSnapshot(file('plan.json').pathname)
  })
})
