import { randomBytes } from 'node:crypto'
import { copyFileSync, openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs'
import { appendFile, cp, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '#host/exec'

const APPLETS = ['sh', 'echo', 'sleep', 'true', 'cat', 'cp', 'mkdir', 'dd', 'head', 'ls']

/** A context for an image with busybox and, where asked for, files of this machine's /usr until they are that large. */
export async function writeBase(dir: string, extraBytes = 0): Promise<void> {
  await mkdir(join(dir, 'root/bin'), { recursive: true })
  await cp('/bin/busybox', join(dir, 'root/bin/busybox'))
  for (const applet of APPLETS) await symlink('busybox', join(dir, 'root/bin', applet))
  if (extraBytes > 0) await copySystemFiles(join(dir, 'root/usr'), extraBytes)
  await writeDockerfile(dir, ['FROM scratch', 'COPY root /'])
}

export async function writeDockerfile(dir: string, lines: readonly string[]): Promise<void> {
  await mkdir(dir, { recursive: true })
  await writeFile(join(dir, 'Dockerfile'), `${lines.join('\n')}\n`)
}

const FILES_PER_DIRECTORY = 50
const TEXT = 'const answer = (question) => question.length * 42 // and so on\n'

/** Small text files as those of a JavaScript dependency tree, of 0 to 8 KB. */
export async function writeSmallFiles(dir: string, count: number): Promise<void> {
  for (let at = 0; at < count; at++) {
    const place = join(dir, `package-${Math.floor(at / FILES_PER_DIRECTORY)}`)
    if (at % FILES_PER_DIRECTORY === 0) await mkdir(place, { recursive: true })
    await writeFile(join(place, `file-${at % FILES_PER_DIRECTORY}.js`), `// ${at}\n${TEXT.repeat((at * 7) % 120)}`)
  }
}

export async function changeOneFile(dir: string, round: number): Promise<void> {
  await appendFile(join(dir, 'package-7/file-3.js'), `// changed in round ${round}\n`)
}

/** A file of which a third cannot be compressed, like programs with their resources. */
export async function writeBlend(path: string, sizeBytes: number): Promise<void> {
  const program = readFileSync('/usr/bin/git').subarray(0, 2_000_000)
  const fd = openSync(path, 'w')
  for (let written = 0; written < sizeBytes; ) {
    written += writeSync(fd, randomBytes(1_000_000))
    written += writeSync(fd, program)
  }
}

/** Makes the directory a repository with one commit, and returns its address. */
export async function commitAll(dir: string): Promise<string> {
  const git = (...args: string[]) => run('git', ['-C', dir, '-c', 'user.name=bench', '-c', 'user.email=bench', ...args])
  await git('init', '--quiet', '--initial-branch=main')
  await git('add', '--all')
  await git('commit', '--quiet', '--message=bench')
  return `file://${dir}#main`
}

export async function commitChange(dir: string): Promise<void> {
  await run('git', [
    '-C',
    dir,
    '-c',
    'user.name=bench',
    '-c',
    'user.email=bench',
    'commit',
    '--quiet',
    '--all',
    '--message=x',
  ])
}

async function copySystemFiles(to: string, maxBytes: number): Promise<void> {
  let left = maxBytes
  const open = ['/usr/share', '/usr/lib']
  let directories = 0
  await mkdir(to)
  for (let from = open.shift(); from !== undefined && left > 0; from = open.shift()) {
    const place = join(to, `d${directories++}`)
    await mkdir(place)
    for (const entry of readdirSync(from, { withFileTypes: true })) {
      const path = join(from, entry.name)
      if (entry.isDirectory()) open.push(path)
      if (!entry.isFile() || left <= 0) continue
      left -= statSync(path).size
      copyFileSync(path, join(place, entry.name))
    }
  }
}
