import { mkdtempDisposable, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { writeFileAtomic } from '#host/files'

test('a file is replaced whole, with the mode that was asked for', async () => {
  await using work = await mkdtempDisposable(join(tmpdir(), 'slipway-files-'))
  const path = join(work.path, 'token')
  await writeFile(path, 'old', { mode: 0o644 })
  await writeFileAtomic(path, 'new', 0o600)
  expect(await readFile(path, 'utf8')).toBe('new')
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect(await readdir(work.path)).toEqual(['token'])
})

test('a file that cannot be written leaves the old one, and nothing beside it', async () => {
  await using work = await mkdtempDisposable(join(tmpdir(), 'slipway-files-'))
  const path = join(work.path, 'token')
  await writeFile(path, 'old')
  await expect(writeFileAtomic(path, 5 as unknown as string)).rejects.toThrow()
  expect(await readFile(path, 'utf8')).toBe('old')
  expect(await readdir(work.path)).toEqual(['token'])
})

test('many writers at once leave one of their files', async () => {
  await using work = await mkdtempDisposable(join(tmpdir(), 'slipway-files-'))
  const path = join(work.path, 'record')
  const texts = Array.from({ length: 20 }, (_, index) => `record ${index} `.repeat(1000))
  await Promise.all(texts.map((text) => writeFileAtomic(path, text)))
  expect(texts).toContain(await readFile(path, 'utf8'))
  expect(await readdir(work.path)).toEqual(['record'])
})
