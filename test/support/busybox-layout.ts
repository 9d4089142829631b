import { createHash } from 'node:crypto'
import { chmod, copyFile, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../../core/host/exec.ts'

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const DIRECTORIES = ['bin', 'dev', 'etc', 'home', 'proc', 'root', 'sys', 'tmp', 'usr', 'usr/bin', 'var', 'var/empty']
const ACCOUNTS = [
  'root:x:0:0:root:/root:/bin/sh',
  'daemon:x:1:1:daemon:/usr/sbin:/bin/false',
  'bin:x:2:2:bin:/bin:/bin/false',
  'app:x:1001:1002:app:/home/app:/bin/sh',
  'nobody:x:65534:65534:nobody:/:/bin/false',
]
const GROUPS = [
  'root:x:0:',
  'daemon:x:1:',
  'bin:x:2:',
  'wheel:x:10:root,app',
  'app:x:1002:',
  'extra:x:1003:app',
  'nobody:x:65534:',
]
/** When everything in the image was made, in seconds. */
const CREATED_S = 1_700_000_000

/** Writes an OCI layout with one image: the machine's static busybox, a name for each of its tools, and some accounts. */
export async function writeBusyboxLayout(dir: string): Promise<void> {
  const root = join(dir, 'root')
  const blobs = join(dir, 'blobs/sha256')
  await mkdir(root, { recursive: true })
  await mkdir(blobs, { recursive: true })
  await writeRoot(root)
  const tar = ['--numeric-owner', '--owner=0', '--group=0', `--mtime=@${CREATED_S}`, '--sort=name']
  const { stdout: layer } = await run('tar', [...tar, '-C', root, '-cf', '-', ...(await topLevel(root))])
  const put = async (bytes: Buffer, mediaType: string) => {
    const digest = hash(bytes)
    await writeFile(join(blobs, digest.slice('sha256:'.length)), bytes)
    return { mediaType: `application/vnd.oci.image.${mediaType}`, digest, size: bytes.length }
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: await put(json(configOf(hash(layer))), 'config.v1+json'),
    layers: [await put(layer, 'layer.v1.tar')],
  }
  const index = { schemaVersion: 2, manifests: [await put(json(manifest), 'manifest.v1+json')] }
  await writeFile(join(dir, 'index.json'), json(index))
  await writeFile(join(dir, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
}

async function writeRoot(root: string): Promise<void> {
  for (const name of DIRECTORIES) await mkdir(join(root, name))
  await chmod(join(root, 'tmp'), 0o1777)
  await chmod(join(root, 'root'), 0o700)
  await copyFile('/bin/busybox', join(root, 'bin/busybox'))
  await chmod(join(root, 'bin/busybox'), 0o755)
  const { stdout: tools } = await run('/bin/busybox', ['--list'])
  for (const tool of tools.toString().split('\n'))
    if (tool !== '' && tool !== 'busybox') await symlink('busybox', join(root, 'bin', tool))
  await writeFile(join(root, 'etc/passwd'), `${ACCOUNTS.join('\n')}\n`, { mode: 0o644 })
  await writeFile(join(root, 'etc/group'), `${GROUPS.join('\n')}\n`, { mode: 0o644 })
}

async function topLevel(root: string): Promise<string[]> {
  const { stdout } = await run('ls', [root])
  return stdout.toString().split('\n').filter(Boolean)
}

function configOf(diffId: string) {
  const created = new Date(CREATED_S * 1000).toISOString()
  const line = (text: string, more: object = {}) => ({
    created,
    created_by: text,
    comment: 'buildkit.dockerfile.v0',
    ...more,
  })
  return {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    created,
    config: { Env: [PATH], Cmd: ['sh'], WorkingDir: '/', ArgsEscaped: true },
    history: [
      line('ADD rootfs.tar / # buildkit'),
      line(`ENV ${PATH}`, { empty_layer: true }),
      line('CMD ["sh"]', { empty_layer: true }),
    ],
    rootfs: { type: 'layers', diff_ids: [diffId] },
  }
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

function hash(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
