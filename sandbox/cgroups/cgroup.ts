import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SlipwayError } from '#domain/errors'
import type { ContainerUsage } from '../contract.ts'
import { type CgroupHierarchies, directoriesOf } from './hierarchies.ts'

const KILL_PATIENCE_MS = 10_000

/** One control group and all below it, in every hierarchy. */
export interface Cgroup {
  /** The counters of its processes so far; zeros and nulls once it is removed. */
  usage(): ContainerUsage
  isEmpty(): boolean
  /** Makes its directories, so that nobody else removes their parents. */
  create(): Promise<void>
  /** Sends SIGKILL until no process is left; fails with kind `internal` if that takes ten seconds. */
  killAll(): Promise<void>
  /**
   * Removes the directories, deepest first, and the parent if it was the last in it. Kills what joined at the last
   * moment; fails with the kernel's error if a group stays busy for ten seconds.
   */
  remove(): Promise<void>
}

export function openCgroup(hierarchies: CgroupHierarchies, path: string): Cgroup {
  const dirs = directoriesOf(hierarchies, path)
  const isEmpty = () => dirs.every((dir) => treeOf(dir).every((group) => processesOf(group).length === 0))
  return {
    usage: () => readUsage(hierarchies, path),
    isEmpty,
    async create() {
      for (const dir of dirs) await createGroup(dir)
    },
    async killAll() {
      const deadlineMs = Date.now() + KILL_PATIENCE_MS
      for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 50)) {
        for (const dir of dirs) killTree(dir)
        if (isEmpty()) return
        if (Date.now() > deadlineMs)
          throw new SlipwayError('internal', `Control group ${path} still has processes after SIGKILL, expected none`)
        await sleep(pauseMs)
      }
    },
    async remove() {
      for (const dir of dirs) {
        await removeTree(dir)
        removeIfEmpty(dirname(dir))
      }
    },
  }
}

/** Reads the counters of v1 (memory, cpuacct) or v2; what the kernel does not offer is null. */
export function readUsage(hierarchies: CgroupHierarchies, path: string): ContainerUsage {
  if (hierarchies.version === 2) {
    const dir = join(hierarchies.v2 ?? '/sys/fs/cgroup', path)
    const cpuUs = field(readText(join(dir, 'cpu.stat')), 'usage_usec')
    return {
      oomKills: field(readText(join(dir, 'memory.events')), 'oom_kill') ?? 0,
      peakMemoryBytes: wholeNumber(readText(join(dir, 'memory.peak'))),
      cpuMs: cpuUs === null ? null : cpuUs / 1000,
    }
  }
  const memory = join(hierarchies.v1.get('memory') ?? '', path)
  const cpuNs = wholeNumber(readText(join(hierarchies.v1.get('cpuacct') ?? '', path, 'cpuacct.usage')))
  return {
    oomKills: field(readText(join(memory, 'memory.oom_control')), 'oom_kill') ?? 0,
    peakMemoryBytes: wholeNumber(readText(join(memory, 'memory.max_usage_in_bytes'))),
    cpuMs: cpuNs === null ? null : cpuNs / 1_000_000,
  }
}

function killTree(dir: string): void {
  // One write kills a whole v2 tree, and processes of other process namespaces too (Linux 5.14).
  const killSwitch = join(dir, 'cgroup.kill')
  if (existsSync(killSwitch)) writeIfThere(killSwitch, '1')
  for (const group of treeOf(dir)) {
    for (const pid of processesOf(group)) killProcess(pid)
  }
}

function killProcess(pid: number): void {
  // A process of a namespace that we cannot see is listed as 0, which kill(2) would take for our own group.
  if (pid <= 0) return
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (codeOf(error) !== 'ESRCH') throw error
  }
}

/** A directory and everything below it, parents first; none if it is not there. */
function treeOf(dir: string): string[] {
  try {
    const below = readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    return [dir, ...below.flatMap((entry) => treeOf(join(dir, entry.name)))]
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw error
  }
}

function processesOf(group: string): number[] {
  return (readText(join(group, 'cgroup.procs')) ?? '').split('\n').filter(Boolean).map(Number)
}

/** The last of our neighbours may remove the parent at the same moment. */
async function createGroup(dir: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      mkdirSync(dir, { recursive: true })
      return
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || tries === 10) throw error
    }
    await sleep(1)
  }
}

function removeIfEmpty(group: string): void {
  try {
    rmdirSync(group)
  } catch (error) {
    if (!['ENOENT', 'EBUSY', 'ENOTEMPTY'].includes(codeOf(error))) throw error
  }
}

/** The kernel keeps a group busy for a moment after its last process was reaped. */
async function removeTree(dir: string): Promise<void> {
  const deadlineMs = Date.now() + KILL_PATIENCE_MS
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, 50)) {
    try {
      for (const group of treeOf(dir).toReversed()) removeGroup(group)
      return
    } catch (error) {
      if (!['EBUSY', 'ENOTEMPTY'].includes(codeOf(error)) || Date.now() > deadlineMs) throw error
    }
    killTree(dir)
    await sleep(pauseMs)
  }
}

function removeGroup(group: string): void {
  try {
    rmdirSync(group)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (['ENOENT', 'ENODEV', 'EOPNOTSUPP', 'ENOTDIR'].includes(codeOf(error))) return null
    throw error
  }
}

function writeIfThere(path: string, text: string): void {
  try {
    writeFileSync(path, text)
  } catch (error) {
    if (!['ENOENT', 'ENODEV', 'EOPNOTSUPP'].includes(codeOf(error))) throw error
  }
}

/** The number after `name ` on a line of its own. */
function field(text: string | null, name: string): number | null {
  const line = text?.split('\n').find((line) => line.startsWith(`${name} `))
  return line === undefined ? null : Number(line.slice(name.length + 1))
}

function wholeNumber(text: string | null): number | null {
  return text !== null && /^\d+\n?$/.test(text) ? Number(text) : null
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
