import { chmod, chown, link, lstat, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { run } from '../../core/host/exec.ts'
import type { Recipe } from './dockerfile-case.ts'

/** How a file comes to be. Modes are octal text; what says none has 0644, directories 0755. */
export type FileRecipe =
  | string
  | { text: string; mode?: string; owner?: readonly [uid: number, gid: number] }
  | { link: string }
  | { directory: string }
  | { hardLink: string }
  | { fifo: string }
  | { socket: true }
  | { gzip: string }
  | { zeros: number }
  | { tar: readonly TarMember[]; compression?: 'gz' | 'bz2' | 'xz' | 'zst' }

/** `data` is the content of a file, or what a link leads to. */
export type TarMember = readonly [
  name: string,
  type: 'file' | 'directory' | 'symlink' | 'hardlink',
  mode: string,
  uid: number,
  gid: number,
  data: string,
]

/** Makes the files of a recipe below an empty directory. */
export async function makeFiles(recipe: Recipe, into: string): Promise<void> {
  const modes: [string, string][] = []
  for (const [name, file] of Object.entries(recipe)) {
    const path = join(into, name)
    await mkdir(dirname(path), { recursive: true })
    if (typeof file === 'object' && 'directory' in file) modes.push([path, file.directory])
    await makeFile(path, file, into)
  }
  await openDirectories(into)
  // Last, so that files can still be made below.
  for (const [path, mode] of modes) await chmod(path, Number.parseInt(mode, 8))
}

async function makeFile(path: string, file: FileRecipe, root: string): Promise<void> {
  if (typeof file === 'string') return await writeFile(path, file, { mode: 0o644 })
  if ('text' in file) {
    await writeFile(path, file.text)
    if (file.owner) await chown(path, ...file.owner)
    return await chmod(path, Number.parseInt(file.mode ?? '0644', 8))
  }
  if ('link' in file) return await symlink(file.link, path)
  if ('directory' in file) return void (await mkdir(path, { recursive: true }))
  if ('hardLink' in file) return await link(join(root, file.hardLink), path)
  if ('fifo' in file) return void (await run('mkfifo', ['-m', file.fifo, path]))
  if ('socket' in file) return await makeSocket(path)
  await writeFile(path, await contentOf(file), { mode: 0o644 })
}

async function contentOf(file: Extract<FileRecipe, { gzip: string } | { zeros: number } | { tar: unknown }>) {
  if ('gzip' in file) return gzipSync(file.gzip)
  if ('zeros' in file) return Buffer.alloc(file.zeros)
  return await compress(writeTar(file.tar), file.compression)
}

async function compress(tar: Buffer, compression?: 'gz' | 'bz2' | 'xz' | 'zst'): Promise<Buffer> {
  if (compression === 'gz') return gzipSync(tar)
  if (compression === 'zst') return zstdCompressSync(tar)
  if (compression === 'bz2') return (await run('bzip2', ['-c'], { input: tar })).stdout
  return compression === 'xz' ? (await run('xz', ['-c'], { input: tar })).stdout : tar
}

/** The name of a closed socket stays where it was bound unless it is unlinked, which Node does: so it is moved away. */
async function makeSocket(path: string): Promise<void> {
  const bound = `${path}.bound`
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(bound, resolve))
  await link(bound, path)
  await new Promise((resolve) => server.close(resolve))
}

async function openDirectories(into: string): Promise<void> {
  for (const entry of await readdir(into, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name)
    if ((await lstat(path)).isDirectory()) await chmod(path, 0o755)
  }
}

const BLOCK = 512
const RECORD = 20 * BLOCK
const MTIME_S = 1_000_000_000
const FLAGS = { file: '0', hardlink: '1', symlink: '2', directory: '5' }

/** A ustar archive with whole records at its end, byte for byte as Python's `tarfile` writes it. */
export function writeTar(members: readonly TarMember[]): Buffer {
  const blocks = members.flatMap(([name, type, mode, uid, gid, data]) => {
    const content = type === 'file' ? Buffer.from(data) : Buffer.alloc(0)
    const header = Buffer.alloc(BLOCK)
    header.write(type === 'directory' ? `${name}/` : name, 0, 'utf8')
    const numbers = [octal(Number.parseInt(mode, 8), 7), octal(uid, 7), octal(gid, 7)].join('')
    header.write(`${numbers}${octal(content.length, 11)}${octal(MTIME_S, 11)}        ${FLAGS[type]}`, 100, 'latin1')
    if (type !== 'file') header.write(data, 157, 'utf8')
    header.write('ustar\x0000', 257, 'latin1')
    const sum = header.reduce((total, byte) => total + byte, 0)
    header.write(octal(sum, 6), 148, 'latin1')
    return [header, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]
  })
  const bytes = Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)])
  return Buffer.concat([bytes, Buffer.alloc((RECORD - (bytes.length % RECORD)) % RECORD)])
}

function octal(value: number, digits: number): string {
  return `${value.toString(8).padStart(digits, '0')}\0`
}
