import { type FileHandle, open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { SlipwayError } from '#domain/errors'
import { locateMembers } from '../layers/locate-members.ts'

/** Opens a file of an OCI layout, which is a directory or an uncompressed tar of one. */
export async function openLayoutFile(layout: string, name: string): Promise<Readable> {
  if ((await stat(layout)).isDirectory()) return (await open(join(layout, name))).createReadStream()
  const archive = await open(layout)
  try {
    return await openMember(archive, { layout, name })
  } catch (error) {
    await archive.close()
    throw error
  }
}

/** The stream closes the archive. */
async function openMember(archive: FileHandle, { layout, name }: { layout: string; name: string }): Promise<Readable> {
  const member = (await locateMembers(archive)).get(name)
  if (!member) throw new SlipwayError('not-found', `The archive ${layout} has no ${name}`)
  const { offset, sizeBytes } = member
  if (sizeBytes === 0) throw new SlipwayError('not-found', `${name} in the archive ${layout} is empty`)
  return archive.createReadStream({ start: offset, end: offset + sizeBytes - 1 })
}
