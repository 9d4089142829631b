import { mkdir, mkdtempDisposable, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openDirectoryContext, openGitContext } from '#buildkit-lite'
import { run } from '#host/exec'
import type { BuildContext } from '../../buildkit-lite/context/contract.ts'
import { readDockerfile } from '../../buildkit-lite/read-dockerfile.ts'

const never = new AbortController().signal
const FROM = 'FROM scratch\n'

async function openGit(path: string): Promise<BuildContext> {
  const git = async (...args: string[]) =>
    (await run('git', ['-C', path, '-c', 'user.name=Ann', '-c', 'user.email=a@b.c', ...args])).stdout.toString().trim()
  await git('init', '--quiet')
  await git('add', '-A')
  await git('commit', '--quiet', '--allow-empty', '-m', 'One')
  const commit = await git('rev-parse', 'HEAD')
  const place = { gitDir: join(path, '.git'), checkoutRoot: join(path, '.git', 'checkouts') }
  return await openGitContext({ ...place, commit, subdirectory: '/' }, never)
}

const openers = { directory: (path: string) => openDirectoryContext(path), git: openGit }

async function nameOf(kind: keyof typeof openers, files: Record<string, string>, path: string): Promise<string> {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-dockerfile-'))
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir.path, name), text)
  await using context = await openers[kind](dir.path)
  return (await readDockerfile({ dockerfile: { path }, context }, never)).source.name
}

test.for(['directory', 'git'] as const)('the default name may be in small letters in a %s context', async (kind) => {
  expect(await nameOf(kind, { dockerfile: FROM }, 'Dockerfile')).toBe('dockerfile')
  expect(await nameOf(kind, { dockerfile: 'FROM', Dockerfile: FROM }, 'Dockerfile')).toBe('Dockerfile')
})

test.for(['directory', 'git'] as const)('a Dockerfile that is missing in a %s context is named', async (kind) => {
  for (const name of ['Dockerfile', 'Other'])
    await expect(nameOf(kind, { other: FROM }, name)).rejects.toMatchObject({
      kind: 'dockerfile-invalid',
      message: `failed to read dockerfile: open ${name}: no such file or directory. Another name is given with -f, or in the rule of the project`,
    })
})

test('a link is followed inside of the context, and never out of it', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-dockerfile-'))
  const root = join(dir.path, 'context')
  await mkdir(join(root, 'docker'), { recursive: true })
  await writeFile(join(dir.path, 'outside'), FROM)
  await writeFile(join(root, 'docker', 'dockerfile'), FROM)
  await symlink('docker/dockerfile', join(root, 'Dockerfile'))
  await symlink('../outside', join(root, 'Out'))
  await symlink('/outside', join(root, 'Rooted'))
  await using context = await openDirectoryContext(root)
  const read = (path: string) => readDockerfile({ dockerfile: { path }, context }, never)
  expect((await read('Dockerfile')).stages).toHaveLength(1)
  expect((await read('docker/Dockerfile')).source.name).toBe('docker/dockerfile')
  for (const path of ['Out', 'Rooted', '../outside', 'docker'])
    await expect(read(path)).rejects.toThrow(`failed to read dockerfile: open ${path}: no such file or directory`)
})

test('what reads the file may be asked for from outside', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-dockerfile-'))
  await using context = await openDirectoryContext(dir.path)
  const dockerfile = { name: 'Dockerfile', text: `# syntax=example/other\n${FROM}` }
  const read = (BUILDKIT_SYNTAX: string) =>
    readDockerfile({ dockerfile, context, buildArgs: { BUILDKIT_SYNTAX } }, never)
  expect((await read('dockerfile.v0')).stages).toHaveLength(1)
  expect((await read('docker/dockerfile:1 with words')).stages).toHaveLength(1)
  await expect(read('example/third')).rejects.toThrow('syntax example/third is not supported')
  await expect(read('')).rejects.toThrow('syntax example/other is not supported')
})
