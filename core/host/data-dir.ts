import { access, constants, mkdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { messageOf, SlipwayError } from '#domain/errors'

/** Makes the data directory, for its owner alone, and its parents. Fails with one message where it cannot be written. */
export async function makeDataDir(dataDir: string): Promise<void> {
  try {
    await makeDirectory(resolve(dataDir))
    await access(dataDir, constants.W_OK)
  } catch (error) {
    const message = `SLIPWAY_DATA ${dataDir} cannot be written: ${messageOf(error)}. Set SLIPWAY_DATA to a directory that can.`
    throw new SlipwayError('forbidden', message, { cause: error })
  }
}

/** Step by step: a recursive mkdir of Node never ends where a file system says ENOENT for new names, as /proc does. */
async function makeDirectory(path: string): Promise<void> {
  const found = await stat(path).catch(() => null)
  if (found?.isDirectory()) return
  const parent = dirname(path)
  if (parent !== path) await makeDirectory(parent)
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    // Another process of ours may have been quicker.
    if (!(await stat(path).catch(() => null))?.isDirectory()) throw error
  }
}
