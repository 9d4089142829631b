import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
} from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { ContainerSpec, Sandbox, SnapshotKey } from '#sandbox'
import { scopeOf } from '../../sandbox/scope.ts'

const TOOLS = [
  'sh',
  'cat',
  'ls',
  'mkdir',
  'mv',
  'rm',
  'sleep',
  'setsid',
  'nslookup',
  'nc',
  'wget',
  'id',
  'grep',
  'tail',
  'head',
  'dd',
  'ip',
  'touch',
  'true',
  'kill',
  'wc',
  'umount',
  'mknod',
  'stat',
  'hostname',
  'df',
  'chmod',
  'echo',
  'env',
  'ln',
  'find',
  'sort',
  'readlink',
]

/** A data directory below /var/tmp: a tmpfs would do for the test, but not for what it stands for. */
export function makeDataDir(): AsyncDisposable & { path: string } {
  const path = mkdtempSync('/var/tmp/slip-test-')
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** Writes a root file system of busybox alone. */
export function writeBusybox(root: string): void {
  for (const dir of ['bin', 'tmp', 'etc']) mkdirSync(join(root, dir))
  chmodSync(join(root, 'tmp'), 0o1777)
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'))
  chmodSync(join(root, 'bin/busybox'), 0o755)
  for (const tool of TOOLS) symlinkSync('busybox', join(root, 'bin', tool))
}

export async function commitBusybox(sandbox: Sandbox, key: SnapshotKey = 'sha256:busybox'): Promise<SnapshotKey> {
  await using base = await sandbox.snapshots.prepare(null)
  writeBusybox(base.upperDir)
  await base.commit(key)
  return key
}

export function specOf(rootDir: string, script: string, more: Partial<ContainerSpec> = {}): ContainerSpec {
  return {
    rootDir,
    args: ['sh', '-c', script],
    env: ['PATH=/bin'],
    workingDir: '/',
    user: { uid: 0, gid: 0, additionalGids: [] },
    hostname: 'box',
    network: 'none',
    mounts: [],
    limits: { memoryBytes: null, cpus: null, pids: null },
    readonlyRoot: false,
    security: 'default',
    ...more,
  }
}

export async function textOf(stream: Readable): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

export const never = new AbortController().signal

/** Runs a script on top of a snapshot, which it leaves as it was. */
export async function runOn(sandbox: Sandbox, base: SnapshotKey, script: string, more: Partial<ContainerSpec> = {}) {
  await using snapshot = await sandbox.snapshots.prepare(base)
  await using container = await sandbox.containers.start(specOf(await snapshot.mount(), script, more), never)
  const [stdout, stderr, exit] = await Promise.all([
    textOf(container.stdout),
    textOf(container.stderr),
    container.exited,
  ])
  return { stdout, stderr, ...exit }
}

const lines = (file: string, ...args: string[]) => execFileSync(file, args, { encoding: 'utf8' }).split('\n')

/** What the host has that carries an owner's name or lies below its data directory. Others may be at work beside us. */
export function hostTraces(dataDir: string, ...owners: string[]) {
  const scopes = owners.map((owner) => scopeOf(dataDir, owner))
  const controllers = readdirSync('/sys/fs/cgroup').map((name) => join('/sys/fs/cgroup', name))
  const groups = ['/sys/fs/cgroup', ...controllers].flatMap((root) => scopes.map(({ cgroup }) => join(root, cgroup)))
  const namesAny = (names: string[]) => (line: string) => names.some((name) => line.includes(name))
  const below = (dir: string) => (existsSync(join(dataDir, dir)) ? readdirSync(join(dataDir, dir)) : [])
  return {
    mounts: readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter(namesAny([dataDir])),
    cgroups: groups.filter((path) => existsSync(path)),
    links: lines('ip', '-o', 'link').filter(namesAny(scopes.map(({ linkPrefix }) => linkPrefix))),
    namespaces: lines('ip', 'netns', 'list').filter(namesAny(scopes.map(({ linkPrefix }) => linkPrefix))),
    tables: lines('nft', 'list', 'tables').filter(namesAny(scopes.map(({ nftTable }) => nftTable))),
    files: below('sandbox'),
    active: below('snapshots/active'),
  }
}

export const noTraces = { mounts: [], cgroups: [], links: [], namespaces: [], tables: [], files: [], active: [] }
