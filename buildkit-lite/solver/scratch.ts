import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** A RAM-backed file system of every Linux: secrets never reach a disk. */
const MEMORY_DIR = '/dev/shm'
const PREFIX = 'slip-step'

/** A step's own directory, removed with everything in it. */
export interface Scratch extends AsyncDisposable {
  readonly dir: string
}

/** Files that a running step needs beside its file system. */
export async function openScratch(stateDir: string): Promise<Scratch> {
  return await makeDirectory(join(stateDir, 'steps'))
}

/** The same in memory, for secrets. */
export async function openSecretScratch(): Promise<Scratch> {
  return await makeDirectory(MEMORY_DIR)
}

/** Removes what processes that are gone left of both. */
export async function reapScratch(stateDir: string): Promise<void> {
  for (const parent of [join(stateDir, 'steps'), MEMORY_DIR]) {
    const names = await readdir(parent).catch(() => [])
    for (const name of names) {
      const pid = new RegExp(`^${PREFIX}-(\\d+)-`).exec(name)?.[1]
      if (pid && !isAlive(Number(pid))) await rm(join(parent, name), { recursive: true, force: true })
    }
  }
}

async function makeDirectory(parent: string): Promise<Scratch> {
  await mkdir(parent, { recursive: true })
  const dir = join(parent, `${PREFIX}-${process.pid}-${randomBytes(6).toString('hex')}`)
  await mkdir(dir, { mode: 0o700 })
  return { dir, [Symbol.asyncDispose]: async () => await rm(dir, { recursive: true, force: true }) }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
