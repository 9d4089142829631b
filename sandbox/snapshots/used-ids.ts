import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Layout } from './layout.ts'

/** Ids of the snapshots that something stands on which is mounted or being written; asked under the exclusive lock. */
export async function usedIds(layout: Layout): Promise<ReadonlySet<string>> {
  const ids = new Set<string>()
  for (const scope of await readdir(layout.active).catch(() => [])) {
    for (const name of await readdir(join(layout.active, scope)).catch(() => [])) {
      const uses = await readFile(join(layout.active, scope, name, 'uses'), 'utf8').catch(() => '')
      for (const id of uses.split('\n')) if (id !== '') ids.add(id)
    }
  }
  return ids
}
