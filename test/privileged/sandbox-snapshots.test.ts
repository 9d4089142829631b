import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLogger } from '#host/log'
import { openSys } from '#host/sys'
import { openSandbox, type Sandbox } from '#sandbox'
import { commitBusybox, makeDataDir, never, runOn, specOf } from './busybox.ts'

const log = createLogger('test', 'error')
const data = makeDataDir()
let sandbox: Sandbox
let base = ''

beforeAll(async () => {
  sandbox = await openSandbox({ dataDir: data.path, owner: 'test-snapshots', warmNetworks: 0 }, log)
  base = await commitBusybox(sandbox)
})
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]()
  await data[Symbol.asyncDispose]()
})

const everything = (dir: string) => readdirSync(dir, { recursive: true }).map(String).sort()

/** Runs a script on a snapshot and says what it left in the upper directory. */
async function changesOf(parent: string | null, script: string, key?: string) {
  await using snapshot = await sandbox.snapshots.prepare(parent)
  await using container = await sandbox.containers.start(specOf(await snapshot.mount(), script), never)
  expect(await container.exited).toMatchObject({ code: 0 })
  await container[Symbol.asyncDispose]()
  const changes = everything(snapshot.upperDir)
  const whiteouts = changes.filter((path) => lstatSync(join(snapshot.upperDir, path)).isCharacterDevice())
  if (key !== undefined) await snapshot.commit(key)
  return { changes, whiteouts }
}

test('a container leaves nothing but what its program wrote', async () => {
  expect(await changesOf(base, 'true')).toEqual({ changes: [], whiteouts: [] })
  const script =
    'mkdir /a; echo x > /a/f; rm /bin/wget; echo name > /etc/hostname; echo nameserver 1.2.3.4 > /etc/resolv.conf'
  const { changes, whiteouts } = await changesOf(base, script)
  expect(changes).toEqual(['a', 'a/f', 'bin', 'bin/wget', 'etc', 'etc/hostname'])
  expect(whiteouts).toEqual(['bin/wget'])
})

test('an empty image stays as empty as its program leaves it', async () => {
  await using tools = await sandbox.snapshots.view(base)
  await using snapshot = await sandbox.snapshots.prepare(null)
  const spec = specOf(await snapshot.mount(), 'echo hello > /hello', {
    mounts: [{ kind: 'bind', source: join(tools.rootDir, 'bin'), target: '/bin', readonly: true }],
  })
  await using container = await sandbox.containers.start(spec, never)
  expect((await container.exited).code).toBe(0)
  expect(everything(snapshot.upperDir)).toEqual(['bin', 'hello'])
  expect(snapshot.lowerDirs).toEqual([])
})

test('who writes files itself sees only the image', async () => {
  for (const [parent, expected] of [
    [null, []],
    [base, ['bin', 'etc', 'tmp']],
  ] as const) {
    await using snapshot = await sandbox.snapshots.prepare(parent)
    expect(readdirSync(await snapshot.mount({ mountPoints: false })).sort()).toEqual(expected)
  }
})

test('what was thrown away is deleted, by another one if need be', async () => {
  const path = mkdtempSync(join(data.path, 'trash-'))
  const open = (owner: string) => openSandbox({ dataDir: path, owner, warmNetworks: 0 }, log)
  const trash = join(path, 'snapshots/trash')
  {
    await using first = await open('test-first')
    for (let count = 0; count < 20; count++) {
      await using _thrown = await first.snapshots.prepare(null)
    }
  }
  await using _second = await open('test-second')
  await expect.poll(() => readdirSync(trash)).toEqual([])
})

test('a commit is seen by views, children and other owners', async () => {
  await changesOf(base, 'echo one > /one; rm -r /tmp; mkdir /tmp; echo new > /tmp/new', 'sha256:one')
  await changesOf('sha256:one', 'rm /one; echo two > /two', 'sha256:two')
  await using other = await openSandbox({ dataDir: data.path, owner: 'test-other', warmNetworks: 0 }, log)
  expect(await other.snapshots.has('sha256:two')).toBe(true)
  await using view = await other.snapshots.view('sha256:two')
  expect(readdirSync(view.rootDir).sort()).toEqual(['bin', 'etc', 'tmp', 'two'])
  expect(readdirSync(join(view.rootDir, 'tmp'))).toEqual(['new'])
  expect(() => writeFileSync(join(view.rootDir, 'x'), '')).toThrow('EROFS')
  const { lowerDirs } = await other.snapshots.layersOf('sha256:two')
  expect(lowerDirs.map((dir) => readdirSync(dir).includes('two'))).toEqual([true, false, false])
  expect(
    openSys()
      .lgetxattr(join(lowerDirs[1] ?? '', 'tmp'), 'trusted.overlay.opaque')
      ?.toString(),
  ).toBe('y')
  expect((await runOn(other, 'sha256:two', 'cat /two')).stdout).toBe('two\n')
})

test('what was never committed is not found, and the first commit of a key wins', async () => {
  await expect(sandbox.snapshots.prepare('sha256:none')).rejects.toMatchObject({ kind: 'not-found' })
  await expect(sandbox.snapshots.view('sha256:none')).rejects.toMatchObject({ kind: 'not-found' })
  expect(await sandbox.snapshots.has('sha256:none')).toBe(false)
  for (const text of ['first', 'second']) {
    await using snapshot = await sandbox.snapshots.prepare(null)
    writeFileSync(join(snapshot.upperDir, text), '')
    await snapshot.commit('sha256:raced')
    await expect(snapshot.mount()).rejects.toMatchObject({ kind: 'invalid' })
  }
  await using view = await sandbox.snapshots.view('sha256:raced')
  expect(readdirSync(view.rootDir)).toEqual(['first'])
})

test('an uncommitted snapshot is gone with its scope, also while its files are in use', async () => {
  const snapshot = await sandbox.snapshots.prepare(base)
  const root = await snapshot.mount()
  expect(await snapshot.mount()).toBe(root)
  await snapshot[Symbol.asyncDispose]()
  await snapshot[Symbol.asyncDispose]()
  expect(() => lstatSync(snapshot.upperDir)).toThrow('ENOENT')
})

test('the root directory keeps the attributes of its parent', async () => {
  await using snapshot = await sandbox.snapshots.prepare(base)
  const [mine, parent] = [
    lstatSync(snapshot.upperDir, { bigint: true }),
    lstatSync(snapshot.lowerDirs[0] ?? '', { bigint: true }),
  ]
  expect([mine.mode, mine.uid, mine.mtimeNs]).toEqual([parent.mode, parent.uid, parent.mtimeNs])
})

test('140 layers', async () => {
  let parent = base
  for (let layer = 0; layer < 140; layer++) {
    await using snapshot = await sandbox.snapshots.prepare(parent)
    writeFileSync(join(snapshot.upperDir, `layer-${layer}`), '')
    parent = `sha256:stack-${layer}`
    await snapshot.commit(parent)
  }
  expect((await runOn(sandbox, parent, 'ls / | grep -c layer')).stdout).toBe('140\n')
})

describe('removal', () => {
  test('takes only what nobody stands on', async () => {
    for (const [key, parent] of [
      ['sha256:low', null],
      ['sha256:high', 'sha256:low'],
    ] as const) {
      await using snapshot = await sandbox.snapshots.prepare(parent)
      await snapshot.commit(key)
    }
    await expect(sandbox.snapshots.remove('sha256:low')).rejects.toMatchObject({ kind: 'conflict' })
    {
      await using _view = await sandbox.snapshots.view('sha256:high')
      await expect(sandbox.snapshots.remove('sha256:high')).rejects.toMatchObject({ kind: 'conflict' })
    }
    await sandbox.snapshots.remove('sha256:high')
    await sandbox.snapshots.remove('sha256:low')
    await sandbox.snapshots.remove('sha256:low')
    expect(await sandbox.snapshots.has('sha256:low')).toBe(false)
    expect(await sandbox.snapshots.has(base)).toBe(true)
  })
})

describe('after a crash of the machine', () => {
  test('a snapshot that may not be on the disk is discarded with its children', async () => {
    const path = mkdtempSync(join(data.path, 'crash-'))
    const options = { dataDir: path, owner: 'test-crash', warmNetworks: 0 }
    {
      await using before = await openSandbox(options, log)
      for (const [key, parent] of [
        ['safe', null],
        ['doubtful', null],
        ['child', 'doubtful'],
      ] as const) {
        await using snapshot = await before.snapshots.prepare(parent)
        await snapshot.commit(key)
      }
    }
    const committed = join(path, 'snapshots/c')
    for (const id of readdirSync(committed)) {
      const file = join(committed, id, 'snapshot.json')
      const record = JSON.parse(readFileSync(file, 'utf8')) as { key: string }
      writeFileSync(file, JSON.stringify({ ...record, bootId: 'another' }))
      expect(readdirSync(join(committed, id))).toContain('durable')
      if (record.key === 'doubtful') rmSync(join(committed, id, 'durable'))
    }
    mkdirSync(join(committed, 'half'))
    await using after = await openSandbox(options, log)
    const kept = await Promise.all(['safe', 'doubtful', 'child'].map((key) => after.snapshots.has(key)))
    expect(kept).toEqual([true, false, false])
    expect(readdirSync(committed)).toHaveLength(1)
  })
})
