import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { type Header, pack } from 'tar-stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openTarContext } from '../../../buildkit-lite/context/tar-context.ts'

const signal = new AbortController().signal
type Head = Partial<Header> & { name: string }
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'slip-tar-test-'))
})
afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

async function tarOf(members: readonly [Head, string?][]): Promise<Buffer> {
  const archive = pack()
  for (const [header, content] of members) archive.entry(header, content ?? '')
  archive.finalize()
  return await buffer(archive)
}

const open = (bytes: Buffer) => openTarContext(Readable.from([bytes]), { directory }, signal)

test.for([
  ['plain', (tar: Buffer) => tar],
  ['gzip', (tar: Buffer) => gzipSync(tar)],
  ['zstd', (tar: Buffer) => zstdCompressSync(tar)],
] as const)('a %s archive is the context, until it is disposed', async ([, compress]) => {
  const tar = await tarOf([
    [{ name: './Dockerfile' }, 'FROM scratch\n'],
    [{ name: 'bin/', type: 'directory', mode: 0o750 }],
    [{ name: 'bin/run', mode: 0o755 }, 'echo'],
    [{ name: 'same', type: 'link', linkname: 'bin/run' }],
    [{ name: 'to', type: 'symlink', linkname: '../../bin/run' }],
    [{ name: '.dockerignore' }, 'Dockerfile\n'],
  ])
  {
    await using context = await open(compress(tar))
    const entries = await context.entries(signal)
    expect(entries.map(({ path, kind, mode }) => [path, kind, kind === 'symlink' ? 0 : mode])).toEqual([
      ['.dockerignore', 'file', 0o644],
      ['bin', 'directory', 0o750],
      ['bin/run', 'file', 0o755],
      ['same', 'file', 0o755],
      ['to', 'symlink', 0],
    ])
    expect((await context.readFile('Dockerfile', 100, signal))?.toString()).toBe('FROM scratch\n')
  }
  expect(await readdir(directory)).toEqual([])
})

test('what is no archive is the Dockerfile', async () => {
  await using context = await open(Buffer.from('FROM scratch\n'))
  expect((await context.entries(signal)).map((entry) => entry.path)).toEqual(['Dockerfile'])
})

test('members cannot leave the directory, neither by name nor through a link', async () => {
  const victim = join(directory, 'victim')
  await writeFile(victim, 'before')
  const tar = await tarOf([
    [{ name: '../../victim' }, 'after'],
    [{ name: 'out', type: 'symlink', linkname: directory }],
    [{ name: 'out/victim' }, 'after'],
    [{ name: '/abs/victim' }, 'after'],
  ])
  await using context = await open(tar)
  expect(await readFile(victim, 'utf8')).toBe('before')
  const root = await context.materialise(signal)
  expect((await stat(join(root, 'out'))).isDirectory()).toBe(true)
  expect((await context.entries(signal)).map((entry) => entry.path)).toEqual([
    'abs',
    'abs/victim',
    'out',
    'out/victim',
    'victim',
  ])
})

test('a link to nowhere is refused, and nothing is left behind', async () => {
  const tar = await tarOf([[{ name: 'a', type: 'link', linkname: '/etc/passwd' }]])
  await expect(open(tar)).rejects.toMatchObject({ kind: 'context-invalid' })
  expect(await readdir(directory)).toEqual([])
})

test('an archive that breaks off is refused', async () => {
  const tar = await tarOf([[{ name: 'a' }, 'x'.repeat(5000)]])
  await expect(open(tar.subarray(0, 2000))).rejects.toMatchObject({ kind: 'context-invalid' })
  expect(await readdir(directory)).toEqual([])
})
