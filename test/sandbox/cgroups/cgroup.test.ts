import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openCgroup, readUsage } from '../../../sandbox/cgroups/cgroup.ts'
import { directoriesOf, findHierarchies } from '../../../sandbox/cgroups/hierarchies.ts'

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'slip-cgroup-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const line = (mountPoint: string, type: string, options: string) =>
  `31 23 0:27 / ${mountPoint} rw,nosuid shared:9 - ${type} ${type} rw,${options}`

describe('hierarchies', () => {
  test.for([
    ['v2 alone', [line('/sys/fs/cgroup', 'cgroup2', 'nsdelegate')], 2, ['/sys/fs/cgroup/a/b']],
    [
      'v1',
      [line('/c/cpu', 'cgroup', 'cpu,cpuacct'), line('/c/memory', 'cgroup', 'memory')],
      1,
      ['/c/cpu/a/b', '/c/memory/a/b'],
    ],
    [
      'both',
      [line('/c/memory', 'cgroup', 'memory'), line('/c/unified', 'cgroup2', '')],
      1,
      ['/c/memory/a/b', '/c/unified/a/b'],
    ],
    [
      'named',
      [line('/c/systemd', 'cgroup', 'xattr,name=systemd'), line('/c/unified', 'cgroup2', '')],
      2,
      ['/c/systemd/a/b', '/c/unified/a/b'],
    ],
  ] as const)('%s', ([, lines, version, directories]) => {
    const hierarchies = findHierarchies(`${lines.join('\n')}\n`)
    expect(hierarchies.version).toBe(version)
    expect(directoriesOf(hierarchies, '/a/b')).toEqual(directories)
  })
})

function write(dir: string, files: Record<string, string>): void {
  mkdirSync(join(root, dir), { recursive: true })
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, dir, name), text)
}

describe('usage', () => {
  test('v2', () => {
    write('g', {
      'cpu.stat': 'usage_usec 12500\nuser_usec 1\n',
      'memory.events': 'oom 3\noom_kill 2\n',
      'memory.peak': '4096\n',
    })
    const usage = readUsage({ version: 2, v1: new Map(), v2: root }, '/g')
    expect(usage).toEqual({ oomKills: 2, peakMemoryBytes: 4096, cpuMs: 12.5 })
  })
  test('v1', () => {
    write('memory/g', {
      'memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 1\n',
      'memory.max_usage_in_bytes': '8192\n',
    })
    write('cpuacct/g', { 'cpuacct.usage': '7000000\n' })
    const v1 = new Map(['memory', 'cpuacct'].map((name) => [name, join(root, name)]))
    expect(readUsage({ version: 1, v1, v2: null }, '/g')).toEqual({ oomKills: 1, peakMemoryBytes: 8192, cpuMs: 7 })
  })
  test('what the kernel does not offer', () => {
    expect(readUsage({ version: 2, v1: new Map(), v2: root }, '/none')).toEqual({
      oomKills: 0,
      peakMemoryBytes: null,
      cpuMs: null,
    })
  })
})

test('kills by one write where the kernel can, and never process 0', async () => {
  write('g/inner', { 'cgroup.procs': '0\n' })
  write('g', { 'cgroup.kill': '', 'cgroup.procs': '' })
  const cgroup = openCgroup({ version: 2, v1: new Map(), v2: root }, '/g')
  expect(cgroup.isEmpty()).toBe(false)
  const killing = cgroup.killAll()
  writeFileSync(join(root, 'g/inner/cgroup.procs'), '')
  await killing
  expect(cgroup.isEmpty()).toBe(true)
})

test('removes all levels and the parent only if it was the last', async () => {
  const hierarchies = { version: 2, v1: new Map<string, string>(), v2: root } as const
  const [first, second] = ['first', 'second'].map((name) => openCgroup(hierarchies, `/slipway/${name}`))
  await first?.create()
  await second?.create()
  mkdirSync(join(root, 'slipway/first/inner'))
  await first?.remove()
  expect(existsSync(join(root, 'slipway'))).toBe(true)
  await second?.remove()
  await second?.remove()
  expect(existsSync(join(root, 'slipway'))).toBe(false)
})
