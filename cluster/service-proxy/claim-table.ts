import { createHash } from 'node:crypto'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { SlipwayError } from '#domain/errors'
import { run } from '#host/exec'
import { openSys, type Sys } from '#host/sys'
import { renderRemoval } from './rules.ts'

/** Clusters of all data directories on a host show here that they live: by the lock on a file named as their table. */
const LOCK_DIR = '/run/slipway/services'
const PREFIX = 'slip_services_'

/** The table of one cluster, ours until disposed. */
export interface ClaimedTable extends Disposable {
  readonly name: string
}

/**
 * Claims the data directory's own table name; fails with kind `conflict` where another live process has it. Tables of
 * dead clusters go, of whatever data directory: their rules would still catch node ports for pods that are no more.
 */
export async function claimTable(dataDir: string): Promise<ClaimedTable> {
  const sys = openSys()
  mkdirSync(LOCK_DIR, { recursive: true, mode: 0o755 })
  const name =
    PREFIX +
    createHash('sha256')
      .update(await realpath(dataDir))
      .digest('hex')
      .slice(0, 8)
  const fd = tryClaim(sys, name)
  if (fd === null) throw new SlipwayError('conflict', `The Services of ${dataDir} belong to another live process`)
  await removeDead(sys, name)
  let isHeld = true
  return {
    name,
    [Symbol.dispose]() {
      if (isHeld) closeSync(fd)
      isHeld = false
    },
  }
}

function tryClaim(sys: Sys, name: string): number | null {
  const fd = openSync(join(LOCK_DIR, name), 'a', 0o600)
  if (sys.tryLock(fd, 'exclusive')) return fd
  closeSync(fd)
  return null
}

async function removeDead(sys: Sys, own: string): Promise<void> {
  const { stdout } = await run('nft', ['list', 'tables', 'ip'])
  const names = stdout.toString().match(/\bslip_services_\w+/g) ?? []
  for (const name of names) {
    if (name === own) continue
    const fd = tryClaim(sys, name)
    if (fd === null) continue
    await run('nft', ['-f', '-'], { input: renderRemoval(name) })
    closeSync(fd)
  }
}
