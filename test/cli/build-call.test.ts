import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import {
  type BuildRequest,
  DEFAULT_IMAGE_SETTINGS,
  DEFAULT_RUN_SETTINGS,
  openDirectoryContext,
  type Registry,
} from '#buildkit-lite'
import { SlipwayError } from '#domain/errors'
import { parseCall, runCall } from '../../cli/build-call.ts'
import { UsageError } from '../../cli/exit-codes.ts'

const folder = new URL('../fixtures/calls/', import.meta.url)
const signal = new AbortController().signal

/** Knows the one image that the Dockerfiles start from. */
const registry: Pick<Registry, 'resolve'> = {
  resolve: async (name) => {
    if (name !== 'base') throw new SlipwayError('pull-not-found', `${name} was not found`)
    return {
      reference: { registry: 'registry.example', repository: 'base', tag: null, digest: null },
      digest: `sha256:${'a'.repeat(64)}` as never,
      manifest: Buffer.alloc(0),
      mediaType: '',
      config: { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } },
      layers: [],
    } as unknown as Awaited<ReturnType<Registry['resolve']>>
  },
}

async function requestOf(name: string, settings: Partial<BuildRequest>): Promise<BuildRequest & AsyncDisposable> {
  const context = await openDirectoryContext(new URL(`${name}/`, folder).pathname)
  return {
    context,
    namedContexts: {},
    dockerfile: { path: 'Dockerfile' },
    target: null,
    buildArgs: {},
    labels: {},
    platform: { os: 'linux', architecture: 'amd64' },
    useCache: true,
    noCacheStages: [],
    pull: false,
    network: 'default',
    extraHosts: [],
    secrets: {},
    run: DEFAULT_RUN_SETTINGS,
    image: DEFAULT_IMAGE_SETTINGS,
    cacheScope: 'test',
    subject: 'test',
    ...settings,
    [Symbol.asyncDispose]: () => context[Symbol.asyncDispose](),
  }
}

async function call(name: string, text: string, settings: Partial<BuildRequest> & { shownFile?: string } = {}) {
  const { shownFile, ...rest } = settings
  await using request = await requestOf(name, rest)
  const shownName = (file: string) => shownFile ?? file
  return await runCall(parseCall(text), request, { registry: registry as Registry, shownName }, signal)
}

const golden = (name: string) => new URL(name, folder).pathname

describe('check', () => {
  test.for([
    ['warnings', 1],
    ['clean', 0],
    ['broken', 1],
    ['skipped', 1],
  ] as const)('of a Dockerfile with %s', async ([name, code]) => {
    const text = await call(name, 'check')
    expect(text.code).toBe(code)
    await expect(text.stdout + text.stderr).toMatchFileSnapshot(golden(`${name}/check.txt`))
    const json = await call(name, 'check,format=json')
    expect(json.code).toBe(code)
    expect(json.stdout).toBe(text.json)
    await expect(json.stdout).toMatchFileSnapshot(golden(`${name}/check.json`))
  })

  test('carries the file as it is', async () => {
    const { stdout } = await call('warnings', 'lint,format=json')
    const { sources } = JSON.parse(stdout) as { sources: { filename: string; data: string }[] }
    const file = await readFile(new URL('warnings/Dockerfile', folder))
    expect(sources).toEqual([{ filename: 'Dockerfile', data: file.toString('base64'), language: 'Dockerfile' }])
  })

  test('looks at one target only where one is asked for', async () => {
    const all = await call('warnings', 'check')
    const one = await call('warnings', 'check', { target: 'build' })
    expect(all.stdout).toContain('JSONArgsRecommended')
    expect(one.stdout).not.toContain('JSONArgsRecommended')
  })

  test('names the file as the person did', async () => {
    const { stdout } = await call('warnings', 'check', { shownFile: 'sub/Dockerfile' })
    expect(stdout).toContain('\nsub/Dockerfile:2\n')
    expect(stdout).not.toMatch(/^Dockerfile:/m)
  })

  test('leaves the exit code alone where that is asked for', async () => {
    expect((await call('warnings', 'check,ignorestatus')).code).toBe(0)
    expect((await call('broken', 'check,ignorestatus')).code).toBe(1)
  })
})

describe('outline', () => {
  test.for([
    ['text', {}],
    ['json', {}],
    ['text', { target: 'build', buildArgs: { MODE: 'debug' } }],
  ] as const)('as %s of %o', async ([format, settings], { task }) => {
    const { code, stdout, stderr } = await call('outline', `outline,format=${format}`, settings)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const name = 'target' in settings ? 'outline-build' : 'outline'
    await expect(stdout, task.name).toMatchFileSnapshot(golden(`outline/${name}.${format === 'json' ? 'json' : 'txt'}`))
  })
})

test.for(['text', 'json'])('targets as %s', async (format) => {
  const { code, stdout } = await call('outline', `targets,format=${format}`)
  expect(code).toBe(0)
  await expect(stdout).toMatchFileSnapshot(golden(`outline/targets.${format === 'json' ? 'json' : 'txt'}`))
})

test.for([
  ['', { method: 'build', format: 'text', ignoreStatus: false }],
  ['check', { method: 'check', format: 'text', ignoreStatus: false }],
  ['outline,format=json', { method: 'outline', format: 'json', ignoreStatus: false }],
  ['format=json,method=targets', { method: 'targets', format: 'json', ignoreStatus: false }],
  ['check,ignorestatus=true', { method: 'check', format: 'text', ignoreStatus: true }],
] as const)('--call=%s', ([text, expected]) => {
  expect(parseCall(text)).toEqual(expected)
})

test.for(['chekc', 'check,format=xml', 'check,x=1'])('--call=%s is refused', (text) => {
  expect(() => parseCall(text)).toThrow(UsageError)
})
