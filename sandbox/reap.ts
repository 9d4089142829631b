import { existsSync } from 'node:fs'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '#host/log'
import { bytePath, type Sys, SysError } from '#host/sys'
import { openCgroup } from './cgroups/cgroup.ts'
import type { CgroupHierarchies } from './cgroups/hierarchies.ts'
import { removeNetworkOf } from './networks/leftovers.ts'
import { type Scope, scopeOf, tryClaim } from './scope.ts'
import { layoutOf } from './snapshots/layout.ts'
import { openTrash, type Trash } from './snapshots/trash.ts'

export interface Reaping {
  /** Ours, claimed. */
  scope: Scope
  hierarchies: CgroupHierarchies
  sys: Sys
  log: Logger
}

/** Removes what dead owners of this data directory left on the host: our own name's, and those whose lock is free. */
export async function reapDead(reaping: Reaping): Promise<void> {
  const { scope, sys, log } = reaping
  await using trash = await openTrash(layoutOf(scope.dataDir).trash, scope, log)
  await reap(reaping, trash)
  for (const owner of await ownersOf(scope.dataDir)) {
    const other = scopeOf(scope.dataDir, owner)
    if (other.id === scope.id) continue
    using claimed = tryClaim(other, sys)
    if (!claimed) continue
    await reap({ ...reaping, scope: claimed }, trash)
  }
}

/** Kills, unmounts and removes all that carries the scope's names. Harmless where there is nothing. */
async function reap({ scope, hierarchies, sys, log }: Reaping, trash: Trash): Promise<void> {
  const cgroup = openCgroup(hierarchies, scope.cgroup)
  await cgroup.killAll()
  await cgroup.remove()
  const layout = layoutOf(scope.dataDir)
  const workspace = join(layout.active, scope.id)
  const unmounted = await unmountBelow(sys, [scope.runDir, workspace])
  if (existsSync(scope.runDir)) {
    await removeNetworkOf(scope)
    await rm(scope.runDir, { recursive: true, force: true })
    log.info({ owner: scope.owner, unmounted }, 'reaped what a dead process left')
  }
  if (existsSync(workspace)) await trash.throwAway(workspace)
}

async function unmountBelow(sys: Sys, dirs: readonly string[]): Promise<number> {
  const mountinfo = await readFile('/proc/self/mountinfo', 'latin1')
  const below = mountPoints(mountinfo).filter((path) =>
    dirs.some((dir) => path.startsWith(`${bytePath(dir).toString('latin1')}/`)),
  )
  // Later mounts may lie on earlier ones.
  for (const path of below.toReversed()) {
    try {
      sys.unmount(path, { detach: true })
    } catch (error) {
      // Taken along with the one above it.
      if (!(error instanceof SysError) || error.code !== 'EINVAL') throw error
    }
  }
  return below.length
}

/** Fifth field of each line; blanks and backslashes are written as octal numbers. */
function mountPoints(mountinfo: string): string[] {
  return mountinfo
    .split('\n')
    .map((line) => line.split(' ')[4])
    .filter((path) => path !== undefined)
    .map((path) => path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))))
}

async function ownersOf(dataDir: string): Promise<string[]> {
  const dir = join(dataDir, 'sandbox')
  const locks = (await readdir(dir)).filter((name) => name.endsWith('.lock'))
  const owners = await Promise.all(locks.map((name) => readFile(join(dir, name), 'utf8').catch(() => '')))
  return owners.filter((owner) => owner !== '')
}
