import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { collectGarbage, openBuildStores } from '#buildkit-lite'
import { openSnapshotStore } from '#sandbox'
import { Bench, gc } from './cli.ts'

let bench: Bench
const RACING =
  'FROM base AS a\nARG N=0\nRUN echo $N > /a\nRUN --mount=type=cache,target=/c cat /a >> /c/f; cp /c/f /b\nFROM base\nCOPY --from=a /b /\nRUN cat /b > /c\n'
const WAITING =
  'FROM base\nRUN echo one > /one\nRUN --mount=type=cache,id=gate,target=/c echo waits; until [ -e /c/go ]; do sleep 0.05; done\nRUN cat /one > /two\n'

beforeAll(async () => {
  bench = await Bench.open()
  await bench.write({ Dockerfile: 'FROM base\nRUN echo hello > /hello\nRUN echo there > /there\n' })
})
afterAll(async () => await bench[Symbol.asyncDispose]())

const collect = (...flags: string[]) => gc(bench.dataDir, flags)
const idsIn = (path: string) => readdirSync(join(bench.dataDir, path)).sort()

test('without a data directory there is nothing to collect', async () => {
  expect(await collect()).toMatchObject({ code: 1, stderr: expect.stringContaining('nothing to collect') })
})

test('help says what goes, and what does not', async () => {
  const { code, stdout } = await collect('--help')
  expect(code).toBe(0)
  for (const word of [
    '--dry-run',
    '--max-size',
    '--all',
    '--verify',
    '--json',
    'SLIPWAY_CACHE_MAX_GB',
    'docker-registry',
  ])
    expect(stdout).toContain(word)
  expect(await collect('--max-size', 'much')).toMatchObject({ code: 2 })
})

test('a dry run says what would go, and a real one takes it', async () => {
  expect(await bench.build([])).toMatchObject({ code: 0 })
  const blobs = idsIn('blobs/sha256')
  expect(await collect()).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Removed 0 objects, 0 B; kept /) })
  const planned = await collect('--all', '--dry-run')
  expect(planned.stdout).toMatch(/^KIND +ID +SIZE +LAST USE +REASON\n/)
  expect(planned.stdout).toMatch(/^blob +[0-9a-f]{20} .* 0 min ago +used longest ago$/m)
  expect(planned.stdout).toMatch(/\nWould remove \d+ objects, \d.*; kept .* free on the disk\.\n$/)
  expect(idsIn('blobs/sha256')).toEqual(blobs)
  const { stdout } = await collect('--all', '--json')
  const report = JSON.parse(stdout)
  expect(report).toMatchObject({ kind: 'collected', dryRun: false, kept: 0, keptBytes: 0 })
  const kinds = new Set(report.removed.map(({ kind }: { kind: string }) => kind))
  expect(kinds).toEqual(new Set(['blob', 'snapshot', 'step-record']))
  expect(idsIn('blobs/sha256')).toEqual([])
  expect(idsIn('snapshots/c')).toEqual([])
})

test('builds do not notice a collection that never ends', async () => {
  await bench.write({ Dockerfile: RACING })
  const stores = [openSnapshotStore(bench.dataDir), ...openBuildStores(bench.dataDir)]
  const options = { dataDir: bench.dataDir, stores, limits: { keepNothing: true as const }, dryRun: false }
  const stop = new AbortController()
  let removed = 0
  const collecting = (async () => {
    while (!stop.signal.aborted) removed += (await collectGarbage(options, stop.signal)).removed.length
  })()
  const builds = Array.from({ length: 2 }, async (_, index) => {
    for (let round = 0; round < 3; round++) {
      const flags = [
        '--build-arg',
        `N=${(round + index) % 2}`,
        '-o',
        `type=oci,dest=${bench.path(`raced-${index}.tar`)}`,
      ]
      expect(await bench.build(flags)).toMatchObject({ code: 0 })
    }
  })
  await Promise.all(builds).finally(() => stop.abort())
  await collecting.catch((error: unknown) => expect(stop.signal.aborted, String(error)).toBe(true))
  expect(removed).toBeGreaterThan(0)
  expect(await collect('--verify')).toMatchObject({ code: 0 })
})

test('a limit keeps what was used last', async () => {
  await bench.write({ Dockerfile: 'FROM base\nRUN echo hello > /hello\nRUN echo there > /there\n' })
  expect(await bench.build([])).toMatchObject({ code: 0 })
  const { stdout } = await collect('--max-size', '1m', '--json')
  const report = JSON.parse(stdout)
  expect(report.removed.length).toBeGreaterThan(0)
  expect(report.keptBytes).toBeLessThanOrEqual(1024 * 1024)
})

test('a damaged blob is found and dropped, and the next build makes it again', async () => {
  expect(await bench.build([])).toMatchObject({ code: 0 })
  expect(await collect('--verify')).toMatchObject({ code: 0, stdout: 'Everything that is kept is sound.\n' })
  const [victim = ''] = idsIn('blobs/sha256')
  writeFileSync(join(bench.dataDir, 'blobs/sha256', victim), 'no layer')
  const found = await collect('--verify', '--dry-run')
  expect(found.code).toBe(1)
  expect(found.stdout).toMatch(
    new RegExp(`^blob +${victim.slice(0, 20)} .* kept +its 8 bytes have digest sha256:`, 'm'),
  )
  expect(JSON.parse((await collect('--verify', '--json')).stdout)).toMatchObject({
    kind: 'verified',
    damaged: [{ kind: 'blob', id: victim, removed: true }],
  })
  expect(await collect('--verify')).toMatchObject({ code: 0 })
  expect(await bench.build(['-o', `type=oci,dest=${bench.path('image.tar')}`])).toMatchObject({ code: 0 })
})

test('nothing goes that a running build needs, and all of it once it was killed', async () => {
  await bench.write({ Dockerfile: WAITING })
  const running = bench.start(['--progress', 'plain'])
  await running.until(/waits\n/)
  const during = JSON.parse((await collect('--all', '--json')).stdout)
  expect(during.removed.filter(({ kind }: { kind: string }) => kind === 'cache-mount')).toEqual([])
  expect(during.inUseBytes).toBeGreaterThan(0)
  const [gate = ''] = idsIn('builder/cache-mounts')
  writeFileSync(join(bench.dataDir, 'builder/cache-mounts', gate, 'go'), '')
  expect(await running.ended).toMatchObject({ code: 0 })

  await collect('--all')
  expect(idsIn('builder/cache-mounts')).toEqual([])
  const killed = bench.start(['--progress', 'plain'])
  await killed.until(/waits\n/)
  killed.child.kill('SIGKILL')
  await killed.exitCode
  // The next sandbox ends what the killed one has left running.
  await bench.write({ Dockerfile: 'FROM base\n' })
  expect(await bench.build([])).toMatchObject({ code: 0 })
  expect(await collect('--verify')).toMatchObject({ code: 0 })
  expect(JSON.parse((await collect('--all', '--json')).stdout)).toMatchObject({ kept: 0, inUseBytes: 0 })
})
