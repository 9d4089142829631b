import { appendFile, chmod, mkdir, mkdtempDisposable, rename, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BuiltImage, openDirectoryContext } from '#buildkit-lite'
import { openSys } from '#host/sys'
import { listLayers } from '../support/image-listing.ts'
import { type BuildBench, openBuildBench } from './build-bench.ts'
import { never } from './busybox.ts'

let bench: BuildBench

beforeAll(async () => {
  bench = await openBuildBench('copy-details')
})
afterAll(async () => await bench?.[Symbol.asyncDispose]())

const sys = openSys()
const CAPABILITY = 'security.capability'
/** cap_net_bind_service=ep, as version 2 of the attribute has it: linux/capability.h */
const NET_BIND = Buffer.from('0100000200040000000000000000000000000000', 'hex')

async function list(image: BuiltImage) {
  return await listLayers(await Promise.all(image.layers.map((layer) => image.content.open(layer, never))))
}

async function makeContext(files: Record<string, string>) {
  const dir = await mkdtempDisposable(join(bench.dataDir, 'context-'))
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(dir.path, name, '..'), { recursive: true })
    await writeFile(join(dir.path, name), content)
  }
  return dir
}

test('capabilities of files survive copies from the context and from a stage, whatever the owner', async () => {
  await using dir = await makeContext({
    Dockerfile:
      'FROM scratch AS s\nCOPY --chown=5:6 f /f\nFROM scratch\nCOPY --from=s /f /g\nCOPY --from=s --chown=7 /f /h',
    f: 'F',
  })
  sys.lsetxattr(Buffer.from(join(dir.path, 'f')), CAPABILITY, NET_BIND)
  const { image } = await bench.buildDirectory(dir.path)
  const files = await list(image)
  const described = ['/g', '/h'].map((path) => [files.get(path)?.uid, Object.keys(files.get(path)?.xattrs ?? {})])
  expect(described).toEqual([
    [5, [CAPABILITY]],
    [7, [CAPABILITY]],
  ])
})

describe('what makes a COPY run again', () => {
  const files = { Dockerfile: 'FROM scratch\nCOPY f d* /o/', f: 'F', 'd/x': 'X', other: 'O' }
  test.for<[string, number, (path: string) => Promise<void>]>([
    ['nothing', 0, async () => {}],
    ['a time', 0, async (path) => await utimes(join(path, 'f'), 1, 1)],
    ['another file', 0, async (path) => await appendFile(join(path, 'other'), '!')],
    ['content', 1, async (path) => await appendFile(join(path, 'd/x'), '!')],
    ['a mode', 1, async (path) => await chmod(join(path, 'f'), 0o600)],
    ['a mode of a directory', 1, async (path) => await chmod(join(path, 'd'), 0o700)],
    ['a name that matches', 1, async (path) => await rename(join(path, 'd'), join(path, 'd2'))],
    ['an attribute', 1, async (path) => sys.lsetxattr(Buffer.from(join(path, 'f')), 'user.x', Buffer.from('1'))],
  ])('%s: %i', async ([name, expected, change]) => {
    await using dir = await makeContext(files)
    const request = { cacheScope: name }
    expect((await bench.buildDirectory(dir.path, request)).ran).toHaveLength(1)
    await change(dir.path)
    expect((await bench.buildDirectory(dir.path, request)).ran).toHaveLength(expected)
  })
})

test.for<[string, Record<string, string>, string]>([
  [
    '*.txt',
    { 'secret.txt': 'x', '.dockerignore': '# c\n\n*.txt\n' },
    '"/secret.txt": not found: .dockerignore line 3 ("*.txt") hides it',
  ],
  [
    'd\n!d/secret.txt\nd/s*',
    { 'd/secret.txt': 'x', 'Dockerfile.dockerignore': 'd\n!d/secret.txt\nd/s*' },
    '"/d/secret.txt": not found: Dockerfile.dockerignore line 3 ("d/s*") hides it',
  ],
  ['what is not there either', { '.dockerignore': '*.txt' }, '"/secret.txt": not found'],
  ['a near name', { 'secrets.txt': 'x' }, '"/secret.txt": not found (did you mean "/secrets.txt"?)'],
])('a missing source says why: %s', async ([, files, message]) => {
  const path = Object.keys(files).find((name) => name.endsWith('/secret.txt')) ?? 'secret.txt'
  const built = bench.buildFiles({ ...files, Dockerfile: `FROM scratch\nCOPY ${path} /x` })
  await expect(built).rejects.toMatchObject({ message, line: 2 })
})

test('a missing file of a stage may have a near name, too', async () => {
  const built = bench.buildFiles({
    Dockerfile: 'FROM scratch AS s\nCOPY f /bin/program\nFROM scratch\nCOPY --from=s /bin/progam /x',
    f: 'F',
  })
  await expect(built).rejects.toThrow('"/bin/progam": not found (did you mean "/bin/program"?)')
})

test('a file that changes after it was listed is built from, and not remembered as what it was', async () => {
  await using dir = await makeContext({ Dockerfile: 'FROM scratch\nCOPY f /f', f: 'listed' })
  const change = { cacheScope: 'changing' }
  await using context = await openDirectoryContext(dir.path)
  await context.entries(never)
  await writeFile(join(dir.path, 'f'), 'changed')
  const built = await bench.buildDirectory(dir.path, { ...change, context })
  expect(await bench.readInside(built.image, 'f')).toBe('changed')
  expect(built.output).toBe('"/f" changed while the build ran, so this step is not cached\n')
  await writeFile(join(dir.path, 'f'), 'listed')
  const again = await bench.buildDirectory(dir.path, change)
  expect(again.ran).toHaveLength(1)
  expect(await bench.readInside(again.image, 'f')).toBe('listed')
})

test('names that are not ASCII are matched by character', async () => {
  const { image } = await bench.buildFiles({
    Dockerfile: 'FROM scratch\nCOPY [ä-ö]?.txt /o/\nCOPY ü /o/',
    'äé.txt': '1',
    ü: '2',
  })
  expect([...(await list(image)).keys()].toSorted()).toEqual(['/o', '/o/äé.txt', '/o/ü'])
})
