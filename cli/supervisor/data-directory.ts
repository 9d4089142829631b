import { randomBytes } from 'node:crypto'
import { access, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SlipwayError } from '#domain/errors'
import { writeFileAtomic } from '#host/files'

const SOCKET_PATH_LIMIT = 107

/** The data directory, ours alone while this is not disposed. */
export interface DataDirectory extends AsyncDisposable {
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
  for (const part of ['', 'run', 'redis', 'registry', 'registry/storage', 'blobs', 'snapshots', 'git', 'logs']) {
    await mkdir(join(path, part), { recursive: true, mode: 0o700 })
  }
  const lock = join(path, 'run', 'supervisor.json')
  await takeLock(lock, path)
  const tokenFile = join(path, 'admin-token')
  const isNew = !(await access(tokenFile).then(
    () => true,
    () => false,
  ))
  if (isNew) await writeFileAtomic(tokenFile, `slip_${randomBytes(24).toString('base64url')}\n`, 0o600)
  const adminToken = (await readFile(tokenFile, 'utf8')).trim()
  return { path, isNew, adminToken, [Symbol.asyncDispose]: () => rm(lock, { force: true }) }
}

/** The lock names a process by pid and start time, so that a reused pid is not taken for it. */
async function takeLock(lock: string, directory: string): Promise<void> {
  const owner = JSON.stringify({ pid: process.pid, startedAt: await startTime(process.pid) })
  for (;;) {
    try {
      await writeFile(lock, owner, { flag: 'wx', mode: 0o600 })
      return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const { pid, startedAt } = JSON.parse(await readFile(lock, 'utf8')) as { pid: number; startedAt: string }
    if ((await startTime(pid)) === startedAt) {
      throw new SlipwayError(
        'conflict',
        `${directory} is in use by another Slipway (process ${pid}). Stop it first, or set SLIPWAY_DATA and SLIPWAY_PORT to others.`,
      )
    }
    await rm(lock, { force: true })
  }
}

/** Field 22 of /proc/PID/stat, in clock ticks since boot; null where there is no such process. */
async function startTime(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
}
