import { mkdir, mkdtempDisposable, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readConfig } from '#host/config'
import { openLease } from '#host/disk-use'
import { createLogger } from '#host/log'
import { openSys } from '#host/sys'
import { createCollector } from '../../workers/collector.ts'

test('the worker keeps its disk within the limits of its environment, and not too often', async () => {
  await using dir = await mkdtempDisposable('/tmp/slip-collector-')
  const blobs = join(dir.path, 'blobs/sha256')
  await mkdir(blobs, { recursive: true })
  const add = async (name: string) => {
    await writeFile(join(blobs, name), 'x'.repeat(2000))
    await utimes(join(blobs, name), 1000, 1000)
  }
  await add('a')
  const env = { SLIPWAY_DATA: dir.path, SLIPWAY_CACHE_MAX_GB: '0.000001', SLIPWAY_CACHE_RESERVED_GB: '0' }
  const signal = AbortSignal.timeout(60_000)
  const collector = createCollector(readConfig(env), createLogger('test', 'silent'), signal)
  {
    await using _lease = await openLease(openSys(), dir.path)
    await collector.collectIfDue()
  }
  expect(await readdir(blobs)).toEqual([])
  await add('b')
  collector.built()
  await collector.collectIfDue()
  expect(await readdir(blobs)).toEqual(['b'])
  await collector.collect()
  expect(await readdir(blobs)).toEqual([])
})
