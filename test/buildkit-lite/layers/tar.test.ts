import { execFileSync } from 'node:child_process'
import {
  closeSync,
  ftruncateSync,
  mkdtempDisposableSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ARCHIVE_END, encodeHeader } from '../../../buildkit-lite/layers/encode-header.ts'
import { TarReader } from '../../../buildkit-lite/layers/read-tar.ts'
import { paddingOf, type TarEntry } from '../../../buildkit-lite/layers/tar-entry.ts'

const ENTRY: TarEntry = {
  path: 'a/b',
  kind: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  sizeBytes: 0,
  mtimeS: 1_700_000_000,
  linkTarget: '',
  deviceMajor: 0,
  deviceMinor: 0,
  xattrs: new Map(),
}

interface Read {
  entry: TarEntry
  content: string
}

/** Reads an archive given in pieces of `pieceBytes`. */
function readTar(archive: Buffer, pieceBytes = archive.length): Read[] {
  const found: Read[] = []
  const reader = new TarReader({
    entry: (entry) => found.push({ entry, content: '' }),
    content: (piece) => {
      found.at(-1)!.content += piece.toString('latin1')
    },
    entryEnd: () => {},
  })
  for (let at = 0; at < archive.length; at += pieceBytes) reader.write(archive.subarray(at, at + pieceBytes))
  reader.end()
  return found
}

const long = (letter: string, count: number) => letter.repeat(count)

test.for<[string, Partial<TarEntry>, { blocks: number }]>([
  ['a plain file', {}, { blocks: 1 }],
  ['a name of 100 bytes', { path: long('n', 100) }, { blocks: 1 }],
  ['a name of 101 bytes', { path: long('n', 101) }, { blocks: 3 }],
  ['a path that splits', { path: `${long('d', 150)}/${long('n', 100)}` }, { blocks: 1 }],
  ['a path that does not split', { path: `${long('d', 156)}/n` }, { blocks: 3 }],
  ['a name beyond ASCII', { path: Buffer.from('grüße').toString('latin1') }, { blocks: 3 }],
  ['a name that is not UTF-8', { path: 'bad\xff\xfe' }, { blocks: 3 }],
  ['a directory', { kind: 'directory', path: 'd', mode: 0o1777 }, { blocks: 1 }],
  ['a directory of 100 bytes', { kind: 'directory', path: long('d', 100) }, { blocks: 3 }],
  ['a symbolic link', { kind: 'symlink', linkTarget: '../x' }, { blocks: 1 }],
  ['a long symbolic link', { kind: 'symlink', linkTarget: long('l', 101) }, { blocks: 3 }],
  ['a hard link', { kind: 'hardlink', linkTarget: 'a/a' }, { blocks: 1 }],
  ['a pipe', { kind: 'fifo' }, { blocks: 1 }],
  ['a device', { kind: 'block-device', deviceMajor: 8, deviceMinor: 17 }, { blocks: 1 }],
  ['setuid', { mode: 0o4755 }, { blocks: 1 }],
  ['the biggest plain owner', { uid: 2_097_151, gid: 2_097_151 }, { blocks: 1 }],
  ['a bigger owner', { uid: 2_097_152, gid: 4_000_000_000 }, { blocks: 3 }],
  ['a time before 1970', { mtimeS: -1 }, { blocks: 3 }],
  ['the last plain time', { mtimeS: 8_589_934_591 }, { blocks: 1 }],
  ['a later time', { mtimeS: 8_589_934_592 }, { blocks: 3 }],
  [
    'an attribute',
    { xattrs: new Map([['security.capability', Buffer.from('01000002=\n\0\xff', 'latin1')]]) },
    { blocks: 3 },
  ],
])('%s is read as it was written', ([, change, { blocks }]) => {
  const entry = { ...ENTRY, ...change }
  const header = encodeHeader(entry)
  expect(header.length).toBe(blocks * 512)
  expect(readTar(Buffer.concat([header, ARCHIVE_END]))).toEqual([{ entry, content: '' }])
})

test('a header is the same for equal entries, whatever the order of attributes', () => {
  const [a, b] = [Buffer.from('a'), Buffer.from('b')]
  const one = encodeHeader({
    ...ENTRY,
    xattrs: new Map([
      ['user.a', a],
      ['user.b', b],
    ]),
  })
  const other = encodeHeader({
    ...ENTRY,
    xattrs: new Map([
      ['user.b', b],
      ['user.a', a],
    ]),
  })
  expect(one.equals(other)).toBe(true)
})

test('a size beyond octal is written as a PAX record', () => {
  const header = encodeHeader({ ...ENTRY, sizeBytes: 9_000_000_000 })
  expect(header.toString('latin1')).toContain('19 size=9000000000\n')
})

function fileOf(path: string, content: string): Buffer {
  const sizeBytes = content.length
  return Buffer.concat([
    encodeHeader({ ...ENTRY, path, sizeBytes }),
    Buffer.from(content),
    Buffer.alloc(paddingOf(sizeBytes)),
  ])
}

test.for([1, 7, 511, 512, 513, 100_000])('an archive in pieces of %i bytes is the same archive', (pieceBytes) => {
  const archive = Buffer.concat([
    fileOf('empty', ''),
    fileOf(long('n', 300), 'x'.repeat(1000)),
    fileOf('block', 'y'.repeat(512)),
    ARCHIVE_END,
    Buffer.from('what follows the end is ignored'),
  ])
  const read = readTar(archive, pieceBytes).map(({ entry, content }) => [entry.path, content.length])
  expect(read).toEqual([
    ['empty', 0],
    [long('n', 300), 1000],
    ['block', 512],
  ])
})

/** A header with one field replaced, and the checksum right again. */
function patched(offset: number, value: Buffer | string, entry: Partial<TarEntry> = {}): Buffer {
  const block = encodeHeader({ ...ENTRY, ...entry })
  Buffer.from(value).copy(block, offset)
  block.fill(0x20, 148, 156)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return block
}

test('numbers in base 256, as GNU tar writes them, are understood', () => {
  const size = Buffer.alloc(12)
  size[0] = 0x80
  size.writeUInt32BE(3, 8)
  const archive = Buffer.concat([patched(124, size), Buffer.from('abc'), Buffer.alloc(509), ARCHIVE_END])
  expect(readTar(archive)).toMatchObject([{ entry: { sizeBytes: 3 }, content: 'abc' }])
})

test('long names of GNU tar are understood', () => {
  const name = `${long('g', 150)}\0`
  const header = patched(156, 'L', { path: '././@LongLink', sizeBytes: name.length })
  const archive = Buffer.concat([
    header,
    Buffer.from(name),
    Buffer.alloc(paddingOf(name.length)),
    fileOf('g', 'x'),
    ARCHIVE_END,
  ])
  expect(readTar(archive)).toMatchObject([{ entry: { path: long('g', 150) }, content: 'x' }])
})

test.for<[string, Buffer, RegExp]>([
  ['a wrong checksum', Buffer.alloc(512, 1), /no tar header/],
  ['a sparse member where holes are not expected', patched(156, 'S'), /sparse/],
  ['a number that is none', patched(124, 'zzzzzzzzzzz'), /expected octal/],
  ['an endless PAX header', patched(156, 'x', { sizeBytes: 2_000_000 }), /2000000 bytes/],
  ['a negative size', patched(124, Buffer.alloc(12, 0xff)), /size -1/],
  ['half a header', Buffer.alloc(100, 1), /breaks off/],
])('%s is refused', ([, archive, message]) => {
  expect(() => readTar(archive)).toThrow(message)
})

test.for<[string, RegExp]>([
  ['5 a=b\n', /malformed/],
  ['99 a=b\n', /malformed/],
  ['x a=b\n', /malformed/],
  ['9 size=-\n', /expected a number/],
  ['21 GNU.sparse.size=1\n', /sparse/],
])('the PAX record %j is refused', ([record, message]) => {
  const header = patched(156, 'x', { sizeBytes: record.length })
  const archive = Buffer.concat([header, Buffer.from(record), Buffer.alloc(paddingOf(record.length)), fileOf('f', '')])
  expect(() => readTar(archive)).toThrow(message)
})

describe('sparse members', () => {
  /** GNU tar writes them in every form; the file has content at two places and a hole at its end. */
  const write = (options: readonly string[], regions: number) => {
    using dir = mkdtempDisposableSync(join(tmpdir(), 'slip-sparse-'))
    const file = openSync(join(dir.path, 'f'), 'w')
    for (let index = 0; index < regions; index++) writeSync(file, `region ${index}`, index * REGION_BYTES + 10_000)
    ftruncateSync(file, regions * REGION_BYTES)
    closeSync(file)
    writeFileSync(join(dir.path, 'next'), 'plain')
    const plain = readFileSync(join(dir.path, 'f'))
    const archive = execFileSync('tar', ['-C', dir.path, '--sparse', ...options, '-cf', '-', 'f', 'next'])
    return { plain, archive }
  }
  const REGION_BYTES = 256 * 1024

  const expand = (archive: Buffer, pieceBytes: number) => {
    const found: { path: string; sizeBytes: number; pieces: Buffer[] }[] = []
    const add = (piece: Buffer) => void found.at(-1)?.pieces.push(piece)
    const reader = new TarReader({
      entry: ({ path, sizeBytes }) => found.push({ path, sizeBytes, pieces: [] }),
      content: (piece) => add(Buffer.from(piece)),
      hole: (bytes) => add(Buffer.alloc(bytes)),
      entryEnd: () => {},
    })
    for (let at = 0; at < archive.length; at += pieceBytes) reader.write(archive.subarray(at, at + pieceBytes))
    reader.end()
    return found.map(({ pieces, ...rest }) => ({ ...rest, content: Buffer.concat(pieces) }))
  }

  const FORMS = [
    ['--format=gnu'],
    ['--format=posix', '--sparse-version=0.0'],
    ['--format=posix', '--sparse-version=0.1'],
    ['--format=posix', '--sparse-version=1.0'],
  ]
  test.for(FORMS.flatMap((form) => [0, 1, 4, 5, 60].map((regions) => [form, regions] as const)))(
    'written with %s, %i regions',
    ([form, regions]) => {
      const { plain, archive } = write(form, regions)
      for (const pieceBytes of [archive.length, 700]) {
        const [file, next, ...more] = expand(archive, pieceBytes)
        expect(file).toMatchObject({ path: 'f', sizeBytes: plain.length })
        expect(file?.content.equals(plain)).toBe(true)
        expect([next?.path, next?.content.toString(), more]).toEqual(['next', 'plain', []])
      }
    },
  )

  test.for<[string, string, RegExp]>([
    ['a map out of order', '10,5,3,1', /out of order/],
    ['a map beyond the end', '90,20', /ends at 110/],
    ['a map of half a region', '10', /out of order/],
    ['more content than its map', '10,2', /more content/],
    ['less content than its map', '10,7', /less content/],
  ])('%s is refused', ([, map, message]) => {
    const records = ['GNU.sparse.size=100', `GNU.sparse.map=${map}`].map(toRecord).join('')
    const header = patched(156, 'x', { sizeBytes: records.length })
    const padding = Buffer.alloc(paddingOf(records.length))
    const archive = Buffer.concat([header, Buffer.from(records), padding, fileOf('f', 'abcde'), ARCHIVE_END])
    expect(() => expand(archive, archive.length)).toThrow(message)
  })
})

function toRecord(text: string): string {
  const length = text.length + 4
  return `${length} ${text}\n`
}
