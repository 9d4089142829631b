import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { SlipwayError } from '#domain/errors'
import { isMissing, onDisk, resolveBeneath } from './beneath.ts'

interface Account {
  name: string
  uid: number
  gid: number
  home: string
}

interface Group {
  name: string
  gid: number
  members: readonly string[]
}

/** Accounts of a root file system, as its own /etc/passwd and /etc/group say. Null where a file is missing. */
export interface Accounts {
  passwd: readonly Account[] | null
  group: readonly Group[] | null
}

export interface RunUser {
  uid: number
  gid: number
  additionalGids: readonly number[]
  home: string
}

const MAX_FILE_BYTES = 16 * 1024 * 1024
const MAX_ID = 0xffff_ffff
/** What has no place in 32 bits is a name. */
const isNumber = (text: string): boolean => /^\d{1,10}$/.test(text) && Number(text) <= MAX_ID

export function readAccounts(root: string): Accounts {
  const passwd = readLines(root, '/etc/passwd')?.flatMap(([name, , uid, gid, , home]) =>
    name && isNumber(uid ?? '') && isNumber(gid ?? '')
      ? [{ name, uid: Number(uid), gid: Number(gid), home: home || '/' }]
      : [],
  )
  const group = readLines(root, '/etc/group')?.flatMap(([name, , gid, members]) =>
    name && isNumber(gid ?? '')
      ? [{ name, gid: Number(gid), members: (members ?? '').split(',').filter(Boolean) }]
      : [],
  )
  return { passwd: passwd ?? null, group: group ?? null }
}

/**
 * USER for a RUN: a number is always a uid; its primary and further groups come from the files; an explicit group
 * stands alone. Without a USER it is 0.
 */
export function resolveRunUser(user: string, accounts: Accounts): RunUser {
  const { name, groupName } = splitUser(user || '0')
  const account = isNumber(name)
    ? accounts.passwd?.find((one) => one.uid === Number(name))
    : accounts.passwd?.find((one) => one.name === (name || 'root'))
  if (!account && !isNumber(name) && name !== '')
    throw new SlipwayError('step-failed', `unable to find user ${name}: no matching entries in passwd file`)
  const uid = account?.uid ?? (isNumber(name) ? Number(name) : 0)
  const home = account?.home ?? '/'
  if (groupName) {
    const gid = findGroup(groupName, accounts)
    return { uid, gid, additionalGids: [gid], home }
  }
  const memberOf = account ? (accounts.group ?? []).filter((group) => group.members.includes(account.name)) : []
  const gid = account?.gid ?? 0
  // The primary group is among them, as in a login.
  const additionalGids = [...new Set([gid, ...memberOf.map((group) => group.gid)])]
  return { uid, gid, additionalGids, home }
}

export interface Owner {
  uid: number
  gid: number
}

/** What an unknown name in `--chown` becomes. */
export type UnknownName = (message: string) => number

/** `--chown`: `5` is 5:5, a name alone brings its primary group, `name:` is group 0, `:g` is user 0. */
export function resolveOwner(chown: string, accounts: Accounts, onUnknown: UnknownName): Owner {
  const { name, groupName } = splitUser(chown)
  const account = isNumber(name) ? undefined : accounts.passwd?.find((one) => one.name === name)
  const isRoot = name === '' || name === 'root'
  const uid = isNumber(name)
    ? Number(name)
    : (account?.uid ?? (isRoot ? 0 : onUnknown(`user ${name} is not in the image's /etc/passwd`)))
  if (groupName === null) return { uid, gid: isNumber(name) ? uid : (account?.gid ?? 0) }
  if (groupName === '' || groupName === 'root') return { uid, gid: 0 }
  if (isNumber(groupName)) return { uid, gid: Number(groupName) }
  const group = accounts.group?.find((one) => one.name === groupName)
  return { uid, gid: group?.gid ?? onUnknown(`group ${groupName} is not in the image's /etc/group`) }
}

/** `u`, `u:g`, `u:`, `:g`; the group is null where there is no colon. */
function splitUser(user: string): { name: string; groupName: string | null } {
  const colon = user.indexOf(':')
  return colon < 0 ? { name: user, groupName: null } : { name: user.slice(0, colon), groupName: user.slice(colon + 1) }
}

function findGroup(name: string, accounts: Accounts): number {
  if (isNumber(name)) return Number(name)
  const group = accounts.group?.find((one) => one.name === name)
  if (!group) throw new SlipwayError('step-failed', `unable to find group ${name}: no matching entries in group file`)
  return group.gid
}

function readLines(root: string, path: string): string[][] | null {
  let fd: number
  try {
    fd = openSync(
      onDisk(root, resolveBeneath(root, path)),
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    )
  } catch (error) {
    if (isMissing(error) || (error as NodeJS.ErrnoException).code === 'ELOOP') return null
    throw error
  }
  try {
    const stats = fstatSync(fd)
    if (!stats.isFile() || stats.size > MAX_FILE_BYTES) return null
    return readFileSync(fd, 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => line.split(':'))
  } finally {
    closeSync(fd)
  }
}
