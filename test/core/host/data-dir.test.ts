import { mkdtempDisposable, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeDataDir } from '#host/data-dir'

test('the directory is made with its parents, by several at once', async () => {
  await using work = await mkdtempDisposable(join(tmpdir(), 'slip-data-'))
  const path = join(work.path, 'a/b/c')
  await Promise.all([makeDataDir(path), makeDataDir(path), makeDataDir(`${path}/`)])
  expect((await stat(path)).mode & 0o777).toBe(0o700)
})

test('a place that takes no directory is named at once', async () => {
  await using work = await mkdtempDisposable(join(tmpdir(), 'slip-data-'))
  const file = join(work.path, 'file')
  await writeFile(file, '')
  for (const path of ['/proc/x', '/proc/x/y', file, join(file, 'x')])
    await expect(makeDataDir(path)).rejects.toMatchObject({
      kind: 'forbidden',
      message: expect.stringMatching(
        new RegExp(`^SLIPWAY_DATA ${path} cannot be written: .* to a directory that can\\.$`),
      ),
    })
})
