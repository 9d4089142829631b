import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { ActiveSnapshot, Container, ContainerSpec, Containers, Networks, Snapshots } from '#sandbox'

/** What a fake container does instead of running a program. It may write below `spec.rootDir`. */
export type Program = (
  spec: ContainerSpec,
  signal: AbortSignal,
) => Promise<{ code: number; output?: string; oom?: boolean }>

/** Containers that call functions, and snapshots that are whole copies: enough to solve plans without root. */
export interface FakeSandbox extends AsyncDisposable {
  containers: Containers
  snapshots: Snapshots
  networks: Networks
  dir: string
  /** The commands that ran, in the order they started. */
  started: string[]
}

export async function createFakeSandbox(program: Program): Promise<FakeSandbox> {
  const dir = await mkdtemp(join(tmpdir(), 'slip-fake-'))
  const started: string[] = []
  return {
    dir,
    started,
    containers: {
      start: async (spec, signal) => {
        started.push(spec.args.join(' '))
        return startFake(program(spec, signal), signal)
      },
    },
    snapshots: fakeSnapshots(dir),
    networks: { warmUp: () => {}, acquireEgress: async () => NO_NETWORK, createPod: async () => NO_NETWORK },
    [Symbol.asyncDispose]: async () => await rm(dir, { recursive: true, force: true }),
  }
}

/** Writes a file of the image from inside a fake container. */
export async function writeInside(spec: ContainerSpec, name: string, content: string): Promise<void> {
  await writeFile(join(spec.rootDir, name), content)
}

const NO_NETWORK = { path: '/proc/self/ns/net', address: null, [Symbol.asyncDispose]: async () => {} }

function startFake(result: ReturnType<Program>, signal: AbortSignal): Container {
  const { promise: killed, resolve } = Promise.withResolvers<{ code: number; output?: string; oom?: boolean }>()
  signal.addEventListener('abort', () => resolve({ code: 137 }), { once: true })
  const ended = Promise.race([result, killed])
  const output = async function* () {
    yield Buffer.from((await ended).output ?? '')
  }
  return {
    id: 'fake',
    pid: 1,
    stdout: Readable.from(output()),
    stderr: Readable.from([]),
    exited: ended.then(({ code, oom }) => ({
      code,
      signal: null,
      usage: { oomKills: oom ? 1 : 0, peakMemoryBytes: null, cpuMs: null },
    })),
    kill: async () => resolve({ code: 137 }),
    exec: async () => {
      throw new Error('a fake container has nothing to exec')
    },
    [Symbol.asyncDispose]: async () => {
      await ended
    },
  }
}

function fakeSnapshots(dir: string): Snapshots {
  const committed = new Map<string, string>()
  let count = 0
  const directoryOf = (key: string | null): string | null => {
    if (key === null) return null
    const found = committed.get(key)
    if (!found) throw new Error(`no snapshot ${key}`)
    return found
  }
  const prepare = async (parent: string | null): Promise<ActiveSnapshot> => {
    const root = join(dir, String(++count))
    const below = directoryOf(parent)
    await mkdir(root)
    if (below) await cp(below, root, { recursive: true, preserveTimestamps: true })
    return {
      upperDir: root,
      lowerDirs: below ? [below] : [],
      mount: async () => root,
      commit: async (key) => {
        committed.set(key, root)
      },
      [Symbol.asyncDispose]: async () => {},
    }
  }
  return {
    has: async (key) => committed.has(key),
    prepare,
    view: async (key) => ({ rootDir: directoryOf(key) ?? dir, [Symbol.asyncDispose]: async () => {} }),
    layersOf: async (key) => ({ lowerDirs: [directoryOf(key) ?? dir] }),
    remove: async (key) => {
      committed.delete(key)
    },
  }
}
