import { mkdir, mkdtempDisposable, readdir, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { reapMirrors } from '../../../buildkit-lite/remote/reap-mirrors.ts'
import { reapStore } from '../../../buildkit-lite/remote/reap-store.ts'

const HOUR_S = 3600
const nowS = () => Date.now() / 1000

async function openStore(files: Record<string, number>) {
  const dir = await mkdtempDisposable(join(tmpdir(), 'slip-reap-'))
  for (const [name, ageS] of Object.entries(files)) {
    const path = join(dir.path, name)
    await mkdir(join(path, '..'), { recursive: true })
    if (name.endsWith('.git')) await mkdir(path)
    else await writeFile(path, Buffer.alloc(100))
    await utimes(path, nowS() - ageS, nowS() - ageS)
  }
  return dir
}

test('what was used longest ago goes first, and what may be in use stays', async () => {
  await using dir = await openStore({ 'a/old': 9 * HOUR_S, 'b/older': 10 * HOUR_S, 'c/new': 0, 'd/newer': 0 })
  await reapStore(dir.path, 300)
  expect((await readdir(dir.path)).toSorted()).toEqual(['a', 'c', 'd'])
  await reapStore(dir.path, 0)
  expect((await readdir(dir.path)).toSorted()).toEqual(['c', 'd'])
})

test('nothing goes while there is room', async () => {
  await using dir = await openStore({ 'a/old': 9 * HOUR_S })
  await reapStore(dir.path, 100)
  expect(await readdir(join(dir.path, 'a'))).toEqual(['old'])
})

test('repositories that nobody asked for go after two weeks', async () => {
  await using dir = await openStore({
    'a.git': 15 * 24 * HOUR_S,
    'b.git': 13 * 24 * HOUR_S,
    known_hosts: 99 * 24 * HOUR_S,
  })
  await reapMirrors(dir.path)
  expect((await readdir(dir.path)).toSorted()).toEqual(['b.git', 'known_hosts'])
})
