import { randomBytes } from 'node:crypto'
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs'
import { access, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SlipwayError } from '#domain/errors'
import { makeDataDir } from '#host/data-dir'
import { writeFileAtomic } from '#host/files'
import { openSys } from '#host/sys'
import { untilEarlierChildrenEnd } from './child-states.ts'

const SOCKET_PATH_LIMIT = 107

/** The data directory, ours alone while this is not disposed. */
export interface DataDirectory extends Disposable {
  path: string
  /** Nothing had been kept here before. */
  isNew: boolean
  adminToken: string
}

/** Creates what is missing, and refuses a directory that another running Slipway uses. */
export async function openDataDirectory(path: string): Promise<DataDirectory> {
  const socket = join(path, 'registry', 'registry.sock')
  if (Buffer.byteLength(socket) > SOCKET_PATH_LIMIT) {
    throw new SlipwayError(
      'invalid',
      `SLIPWAY_DATA is too long: ${socket} has to fit in ${SOCKET_PATH_LIMIT} bytes, as a socket's name`,
    )
  }
  await makeDataDir(path)
  for (const part of ['run', 'redis', 'registry', 'registry/storage', 'blobs', 'snapshots', 'git', 'logs']) {
    await mkdir(join(path, part), { recursive: true, mode: 0o700 })
  }
  using opening = new DisposableStack()
  opening.use(takeLock(join(path, 'run', 'supervisor.lock'), path))
  await untilEarlierChildrenEnd(path)
  const tokenFile = join(path, 'admin-token')
  const isNew = !(await access(tokenFile).then(
    () => true,
    () => false,
  ))
  if (isNew) await writeFileAtomic(tokenFile, `slip_${randomBytes(24).toString('base64url')}\n`, 0o600)
  const adminToken = (await readFile(tokenFile, 'utf8')).trim()
  const open = opening.move()
  return { path, isNew, adminToken, [Symbol.dispose]: () => open.dispose() }
}

/** The kernel frees the lock of a process that dies, however it dies. The file's text is for the message alone. */
function takeLock(file: string, directory: string): Disposable {
  const fd = openSync(file, 'a+', 0o600)
  let isOpen = true
  const lock = {
    [Symbol.dispose]() {
      if (isOpen) closeSync(fd)
      isOpen = false
    },
  }
  if (!openSys().tryLock(fd, 'exclusive')) {
    lock[Symbol.dispose]()
    const owner = readFileSync(file, 'utf8').trim()
    throw new SlipwayError(
      'conflict',
      `${directory} is in use by another Slipway (process ${owner || 'unknown'}). Stop it first, or set SLIPWAY_DATA and SLIPWAY_PORT to others.`,
    )
  }
  ftruncateSync(fd)
  writeSync(fd, `${process.pid}\n`)
  return lock
}
