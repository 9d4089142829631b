import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Logger } from '#host/log'
import { newId } from '#host/new-id'
import type { Scope } from '../scope.ts'

/**
 * Deletes directories in the background, one after the other: a rename takes them out of sight at once. Disposing
 * finishes the one in hand and leaves the rest to whoever opens the trash next.
 */
export interface Trash extends AsyncDisposable {
  throwAway(path: string): Promise<void>
}

export async function openTrash(dir: string, scope: Scope, log: Logger): Promise<Trash> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const queue = await leftOf(dir, scope)
  const closing = new AbortController()
  let working: Promise<void> | null = null

  const work = async () => {
    for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
      await remove(path, log)
      if (closing.signal.aborted) return
    }
    working = null
  }
  const wake = () => {
    if (!working && !closing.signal.aborted && queue.length > 0) working = work()
  }
  wake()
  const throwAway = async (path: string) => {
    const target = join(dir, newId(`${scope.id}.t`))
    await rename(path, target)
    queue.push(target)
    wake()
  }
  return {
    throwAway,
    async [Symbol.asyncDispose]() {
      closing.abort()
      await working
    },
  }
}

/** What its owner did not come to delete: ours of an earlier time, and of all who have ended. */
async function leftOf(dir: string, scope: Scope): Promise<string[]> {
  const ended = (name: string) => {
    const id = name.split('.')[0] ?? ''
    return id === scope.id || !existsSync(join(dirname(scope.runDir), `${id}.lock`))
  }
  return (await readdir(dir)).filter(ended).map((name) => join(dir, name))
}

async function remove(path: string, log: Logger): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true })
  } catch (error) {
    log.warn({ err: error, path }, 'trash cannot be deleted')
  }
}
