import { mkdir, mkdtempDisposable, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Accounts, readAccounts, resolveOwner, resolveRunUser } from '../../../buildkit-lite/solver/accounts.ts'

const accounts: Accounts = {
  passwd: [
    { name: 'root', uid: 0, gid: 0, home: '/root' },
    { name: 'app', uid: 1001, gid: 1002, home: '/home/app' },
    { name: '77', uid: 5, gid: 5, home: '/odd' },
  ],
  group: [
    { name: 'root', gid: 0, members: [] },
    { name: 'wheel', gid: 10, members: ['root', 'app'] },
    { name: 'app', gid: 1002, members: [] },
  ],
}

test.for<[string, { uid: number; gid: number; additionalGids: number[]; home: string }]>([
  ['', { uid: 0, gid: 0, additionalGids: [0, 10], home: '/root' }],
  ['root', { uid: 0, gid: 0, additionalGids: [0, 10], home: '/root' }],
  ['app', { uid: 1001, gid: 1002, additionalGids: [1002, 10], home: '/home/app' }],
  ['1001', { uid: 1001, gid: 1002, additionalGids: [1002, 10], home: '/home/app' }],
  ['app:app', { uid: 1001, gid: 1002, additionalGids: [1002], home: '/home/app' }],
  ['4242', { uid: 4242, gid: 0, additionalGids: [0], home: '/' }],
  ['4242:99', { uid: 4242, gid: 99, additionalGids: [99], home: '/' }],
  [':5', { uid: 0, gid: 5, additionalGids: [5], home: '/root' }],
  // A number is a uid even where somebody is called so.
  ['77', { uid: 77, gid: 0, additionalGids: [0], home: '/' }],
])('USER %s', ([user, expected]) => {
  expect(resolveRunUser(user, accounts)).toEqual(expected)
})

test.for<[string, { uid: number; gid: number; additionalGids: number[]; home: string }]>([
  ['', { uid: 0, gid: 0, additionalGids: [0], home: '/' }],
  ['0', { uid: 0, gid: 0, additionalGids: [0], home: '/' }],
  [':5', { uid: 0, gid: 5, additionalGids: [5], home: '/' }],
])('USER "%s" of an image without accounts', ([user, expected]) => {
  expect(resolveRunUser(user, { passwd: null, group: null })).toEqual(expected)
})

test('root is a name like others where nobody has it', () => {
  expect(() => resolveRunUser('root', { passwd: [], group: [] })).toThrow(
    'unable to find user root: no matching entries in passwd file',
  )
})

test.for<[string, string]>([
  ['ghost', 'unable to find user ghost: no matching entries in passwd file'],
  ['app:ghosts', 'unable to find group ghosts: no matching entries in group file'],
])('USER %s fails', ([user, message]) => {
  expect(() => resolveRunUser(user, accounts)).toThrow(message)
})

test.for<[string, { uid: number; gid: number }]>([
  ['5', { uid: 5, gid: 5 }],
  ['5:6', { uid: 5, gid: 6 }],
  ['app', { uid: 1001, gid: 1002 }],
  ['app:', { uid: 1001, gid: 0 }],
  [':5', { uid: 0, gid: 5 }],
  ['app:wheel', { uid: 1001, gid: 10 }],
  ['root:wheel', { uid: 0, gid: 10 }],
  ['4294967295:70000', { uid: 4_294_967_295, gid: 70_000 }],
  // What is larger than any id is a name that nobody has.
  ['4294967296:9999999999', { uid: -1, gid: -1 }],
])('--chown=%s', ([chown, expected]) => {
  expect(resolveOwner(chown, accounts, () => -1)).toEqual(expected)
})

test('an unknown name is the caller’s to judge', () => {
  const told: string[] = []
  const owner = resolveOwner('nosuch:nogroup', accounts, (message) => told.push(message) * 100)
  expect(owner).toEqual({ uid: 100, gid: 200 })
  expect(told).toEqual([
    "user nosuch is not in the image's /etc/passwd",
    "group nogroup is not in the image's /etc/group",
  ])
})

test('files are read from inside the root, wherever links lead', async () => {
  await using root = await mkdtempDisposable(join(tmpdir(), 'slip-accounts-'))
  await mkdir(join(root.path, 'etc'))
  await mkdir(join(root.path, 'data'))
  await writeFile(join(root.path, 'data/passwd'), 'one:x:7:8::/one:/bin/sh\nbroken\n# no account\n')
  await symlink('/../../data/passwd', join(root.path, 'etc/passwd'))
  expect(readAccounts(root.path)).toEqual({ passwd: [{ name: 'one', uid: 7, gid: 8, home: '/one' }], group: null })
})
