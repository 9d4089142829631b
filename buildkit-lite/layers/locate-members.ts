import type { FileHandle } from 'node:fs/promises'
import { SlipwayError } from '#domain/errors'
import { applyPax, decodeHeader, decodePax, extensionOf } from './decode-header.ts'
import { BLOCK_BYTES, paddingOf } from './tar-entry.ts'

/** Where a member's content lies in the archive. */
export interface TarMember {
  offset: number
  sizeBytes: number
}

const MAX_PAX_BYTES = 1024 * 1024
const EMPTY: ReadonlyMap<string, Buffer> = new Map()

/** The members of an uncompressed archive by their cleaned names; only headers are read. */
export async function locateMembers(file: FileHandle): Promise<ReadonlyMap<string, TarMember>> {
  const members = new Map<string, TarMember>()
  let records = EMPTY
  for (let at = 0; ; ) {
    const block = await readAt(file, at, BLOCK_BYTES)
    const header = block.length === 0 ? null : decodeHeader(block)
    if (header === null) return members
    const extension = extensionOf(header.flag)
    const entry = applyPax(header.entry, extension === null ? records : EMPTY)
    const { sizeBytes } = entry
    if (sizeBytes < 0) throw new SlipwayError('invalid', `${entry.path} has the size ${sizeBytes}`)
    const offset = at + BLOCK_BYTES
    if (extension === null) members.set(entry.path.replace(/^(?:\.?\/)+/, ''), { offset, sizeBytes })
    records = extension === 'pax' ? decodePax(await readAt(file, offset, Math.min(sizeBytes, MAX_PAX_BYTES))) : EMPTY
    at = offset + sizeBytes + paddingOf(sizeBytes)
  }
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  const { bytesRead } = await file.read(buffer, 0, length, position)
  if (bytesRead !== length && bytesRead !== 0)
    throw new SlipwayError('invalid', 'The archive breaks off in the middle of a member')
  return buffer.subarray(0, bytesRead)
}
