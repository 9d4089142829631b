import { mkdir, opendir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { newId } from './new-id.ts'

/** What is kept below a data directory only to be faster the next time. */
export type DiskKind = 'blob' | 'snapshot' | 'cache-mount' | 'download' | 'git-repository' | 'step-record'

export interface DiskObject {
  kind: DiskKind
  /** Unique within its store. */
  id: string
  sizeBytes: number
  usedAtMs: number
  /** Whether a build in flight, a container or another process has it. */
  inUse: boolean
  /** Ids of what it stands on, which can go only after it. */
  parents: readonly string[]
}

/** An object that is not what its name or record says. */
export interface Damage {
  kind: DiskKind
  id: string
  sizeBytes: number
  problem: string
}

/** The objects of one kind in one place. Nothing has to run for any of this, and everything may. */
export interface DiskStore {
  list(): AsyncIterable<DiskObject>
  /** Removes what nobody uses by now, and answers the ids of what is gone. */
  remove(ids: readonly string[]): Promise<ReadonlySet<string>>
  /** Reads everything. */
  verify(signal: AbortSignal): AsyncIterable<Damage>
}

/** A place for what was renamed out of sight and is on its way to deletion. */
export interface DiskTrash {
  /** Takes something out of sight at once; false where it is gone already. */
  take(path: string): Promise<boolean>
  /** Deletes everything in it, also what a killed process left there. */
  empty(): Promise<void>
}

/** `prefix` tells ours from what others keep in the same directory. */
export function diskTrash(dir: string, prefix: string): DiskTrash {
  return {
    take: (path) => hide(path, join(dir, newId(prefix))),
    async empty() {
      for await (const name of namesIn(dir))
        if (name.startsWith(prefix)) await rm(join(dir, name), { recursive: true, force: true })
    },
  }
}

async function hide(path: string, target: string): Promise<boolean> {
  try {
    await mkdir(dirname(target), { recursive: true, mode: 0o700 })
    await rename(path, target)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return false
    if (code !== 'ENOSPC') throw error
    // Not even a name fits on the disk: this is slower, and makes space for names.
    await rm(path, { recursive: true, force: true })
  }
  return true
}

/** The names in a directory, some at a time; none where it is not there. */
export async function* namesIn(dir: string): AsyncGenerator<string> {
  const opened = await opendir(dir, { bufferSize: 256 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (opened !== null) for await (const { name } of opened) yield name
}
