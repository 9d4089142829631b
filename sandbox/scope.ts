import { createHash } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  realpathSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SlipwayError } from '#domain/errors'
import type { Sys } from '#host/sys'

/** A dying process may still hold its lock for a moment after its supervisor has seen it go. */
const LOCK_PATIENCE_MS = 2_000

/** What one owner calls its own on this host. Everything is named so that a successor finds it. */
export interface Scope {
  readonly owner: string
  readonly dataDir: string
  /** Six characters that differ for every owner and data directory. */
  readonly id: string
  /** State that no successor needs: runc's, generated files, pinned namespaces. */
  readonly runDir: string
  /** Path of the control group of all containers, below every hierarchy's root. */
  readonly cgroup: string
  /** Of network interfaces, whose names have at most 15 characters. */
  readonly linkPrefix: string
  readonly nftTable: string
}

/** A scope whose lock this process holds until disposed, when nothing is left of it. */
export interface ClaimedScope extends Scope, Disposable {}

/** Claims the owner's name; fails with kind `conflict` where another live process has it. */
export async function claimScope(dataDir: string, owner: string, sys: Sys): Promise<ClaimedScope> {
  if (!/^[A-Za-z0-9][A-Za-z0-9.-]{0,40}$/.test(owner))
    throw new SlipwayError(
      'invalid',
      `Sandbox owner ${JSON.stringify(owner)} has to be letters, digits, dots and dashes`,
    )
  mkdirSync(join(dataDir, 'sandbox'), { recursive: true, mode: 0o700 })
  const scope = scopeOf(realpathSync(dataDir), owner)
  const deadlineMs = Date.now() + LOCK_PATIENCE_MS
  for (;;) {
    const claimed = tryClaim(scope, sys)
    if (claimed) return claimed
    if (Date.now() > deadlineMs)
      throw new SlipwayError('conflict', `Sandbox owner ${owner} of ${dataDir} belongs to another live process`)
    await sleep(50)
  }
}

/** Claims a scope only if nobody has it. */
export function tryClaim(scope: Scope, sys: Sys): ClaimedScope | null {
  const path = lockFile(scope)
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  const locked = sys.tryLock(fd, 'exclusive') && isStill(path, fd)
  if (!locked) {
    closeSync(fd)
    return null
  }
  writeSync(fd, scope.owner, 0)
  let held = true
  return {
    ...scope,
    [Symbol.dispose]() {
      if (!held) return
      held = false
      rmSync(path, { force: true })
      rmSync(scope.runDir, { recursive: true, force: true })
      closeSync(fd)
    },
  }
}

/** The file whose lock says that the owner lives, and whose text is the owner's name. */
function lockFile(scope: Scope): string {
  return `${scope.runDir}.lock`
}

/** `dataDir` is an absolute path without symbolic links. */
export function scopeOf(dataDir: string, owner: string): Scope {
  const hash = createHash('sha256').update(`${dataDir}\0${owner}`).digest('hex')
  const id = BigInt(`0x${hash}`).toString(36).slice(-6)
  return {
    owner,
    dataDir,
    id,
    runDir: join(dataDir, 'sandbox', id),
    cgroup: `/slipway/${owner}-${id}`,
    linkPrefix: `slip${id}`,
    nftTable: `slip_${id}`,
  }
}

/** A reaper may have deleted the file between our opening and locking it. */
function isStill(path: string, fd: number): boolean {
  const found = statSync(path, { throwIfNoEntry: false })
  return found !== undefined && found.ino === fstatSync(fd).ino
}
