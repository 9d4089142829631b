import { expect, test } from 'vitest'
import { clampTimes } from '../../../buildkit-lite/layers/clamp-times.ts'
import { ARCHIVE_END, encodeHeader } from '../../../buildkit-lite/layers/encode-header.ts'
import type { TarEntry } from '../../../buildkit-lite/layers/tar-entry.ts'

const plain: TarEntry = {
  path: 'f',
  kind: 'file',
  mode: 0o644,
  uid: 1,
  gid: 2,
  sizeBytes: 0,
  mtimeS: 2000,
  linkTarget: '',
  deviceMajor: 0,
  deviceMinor: 0,
  xattrs: new Map(),
}

const CAPABILITY = new Map([['security.capability', Buffer.from([1, 0, 0, 2, 0xff, 0x0a])]])

/** One member of every kind, with content, long names, attributes and a whiteout. */
const archiveAt = (laterS: number): Buffer =>
  Buffer.concat([
    encodeHeader({ ...plain, path: 'd', kind: 'directory', mode: 0o1777, mtimeS: laterS }),
    encodeHeader({ ...plain, path: `d/${'long-'.repeat(60)}\xe9`, sizeBytes: 700, mtimeS: laterS, xattrs: CAPABILITY }),
    Buffer.alloc(700, 'x'),
    Buffer.alloc(324),
    encodeHeader({ ...plain, path: 'd/.wh.gone', mtimeS: 0, mode: 0 }),
    encodeHeader({ ...plain, path: 'd/link', kind: 'symlink', linkTarget: '../f', mtimeS: laterS }),
    encodeHeader({ ...plain, path: 'd/hard', kind: 'hardlink', linkTarget: 'd/link', mtimeS: -5 }),
    encodeHeader({
      ...plain,
      path: 'd/null',
      kind: 'character-device',
      deviceMajor: 1,
      deviceMinor: 3,
      mtimeS: laterS,
    }),
    ARCHIVE_END,
  ])

async function clamp(archive: Buffer, latestS: number, pieceBytes: number): Promise<Buffer> {
  const pieces = async function* (): AsyncGenerator<Buffer> {
    for (let at = 0; at < archive.length; at += pieceBytes) yield archive.subarray(at, at + pieceBytes)
  }
  const chunks: Buffer[] = []
  for await (const chunk of clampTimes(pieces(), latestS)) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

test.for([100, 512, 65_536])(
  'times after the date become it, nothing else changes (pieces of %i bytes)',
  async (size) => {
    expect((await clamp(archiveAt(5000), 1000, size)).equals(archiveAt(1000))).toBe(true)
    expect((await clamp(archiveAt(500), 1000, size)).equals(archiveAt(500))).toBe(true)
  },
)

test('an archive that breaks off is no layer', async () => {
  await expect(clamp(archiveAt(1).subarray(0, 1000), 1000, 100)).rejects.toThrow('breaks off')
})
