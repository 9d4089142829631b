import { mkdir, mkdtemp, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf } from '#domain/errors'
import { run } from '#host/exec'
import { bytePath, openSys } from '#host/sys'
import { findHierarchies } from './cgroups/hierarchies.ts'

/** One thing that containers need of a host. */
export interface HostCheck {
  name: string
  state: 'ok' | 'missing' | 'degraded'
  detail: string
  /** What a person can do about it; null where nothing has to be done. */
  remedy: string | null
}

const NEEDED_CONTROLLERS = ['cpu', 'memory', 'pids']
/** Below this much free space builds begin to fail. */
const LOW_DISK_BYTES = 5 * 1024 ** 3

/** Looks at everything that a sandbox needs, in the order in which a person would fix it. Changes nothing. */
export async function checkHost(dataDir = '/var/lib'): Promise<HostCheck[]> {
  return [
    checkRoot(),
    await checkRunc(),
    await checkProgram('ip', ['-V'], 'iproute2'),
    await checkProgram('nft', ['--version'], 'nftables'),
    await checkProgram('unshare', ['--version'], 'util-linux'),
    checkCgroups(),
    await checkNamespaces(),
    await checkOverlay(dataDir),
    await checkDisk(dataDir),
    checkSys(),
  ]
}

const ok = (name: string, detail: string): HostCheck => ({ name, state: 'ok', detail, remedy: null })

function checkRoot(): HostCheck {
  if (process.getuid?.() === 0) return ok('root', 'running as root')
  const remedy = 'run it with sudo, or as a service of root'
  return { name: 'root', state: 'missing', detail: `running as user ${process.getuid?.()}, expected root`, remedy }
}

async function checkProgram(file: string, args: readonly string[], packageName: string): Promise<HostCheck> {
  try {
    const { stdout, stderr } = await run(file, args)
    return ok(file, (stdout.toString() || stderr).split('\n')[0]?.trim() ?? '')
  } catch (error) {
    return { name: file, state: 'missing', detail: messageOf(error), remedy: `apt-get install ${packageName}` }
  }
}

async function checkRunc(): Promise<HostCheck> {
  const found = await checkProgram('runc', ['--version'], 'runc')
  const [major = 0, minor = 0] = /(\d+)\.(\d+)/.exec(found.detail)?.slice(1).map(Number) ?? []
  if (found.state !== 'ok' || major > 1 || minor >= 1) return found
  return {
    ...found,
    state: 'missing',
    remedy: 'install runc 1.1 or later',
    detail: `${found.detail}, expected 1.1 or later`,
  }
}

function checkCgroups(): HostCheck {
  const name = 'cgroups'
  const { version, v1, v2 } = findHierarchies()
  const remedy = 'mount the control groups of the host, or boot with systemd.unified_cgroup_hierarchy=1'
  if (version === 2 && v2 === null) return { name, state: 'missing', detail: 'no control groups are mounted', remedy }
  if (version === 2) return ok(name, `version 2 at ${v2}`)
  const missing = NEEDED_CONTROLLERS.filter((controller) => !v1.has(controller))
  if (missing.length === 0) return ok(name, 'version 1')
  const detail = `version 1 without ${missing.join(', ')}: these limits do not work`
  return { name, state: 'degraded', detail, remedy }
}

async function checkNamespaces(): Promise<HostCheck> {
  const name = 'namespaces'
  try {
    await run('unshare', ['--pid', '--fork', '--mount', '--net', '--ipc', '--uts', '--cgroup', '--', 'true'])
    return ok(name, 'process, mount, network, ipc, uts and control group namespaces can be made')
  } catch (error) {
    const remedy = 'give this machine or container CAP_SYS_ADMIN and a kernel with namespaces'
    return { name, state: 'missing', detail: messageOf(error), remedy }
  }
}

/** Only a real mount tells: in a container the data directory may itself be an overlay, which takes no upper one. */
async function checkOverlay(dataDir: string): Promise<HostCheck> {
  const name = 'overlayfs'
  const sys = openSys()
  const parent = await mkdtemp(join(await writable(dataDir), 'slip-doctor-')).catch(() => null)
  if (parent === null)
    return { name, state: 'missing', detail: `${dataDir} cannot be written`, remedy: 'run it as root' }
  const [lower = '', upperDir = '', workDir = '', target = ''] = ['lower', 'upper', 'work', 'root'].map((dir) =>
    join(parent, dir),
  )
  try {
    for (const dir of [lower, upperDir, workDir, target]) await mkdir(dir)
    const upper = { upperDir: bytePath(upperDir), workDir: bytePath(workDir) }
    sys.mountOverlay({ target: bytePath(target), lowerDirs: [bytePath(lower)], upper, options: ['index=off'] })
    sys.unmount(bytePath(target), { detach: false })
    return ok(name, `works in ${dataDir}`)
  } catch (error) {
    const remedy = 'load the kernel module overlay, and put the data directory on ext4, xfs or btrfs'
    return { name, state: 'missing', detail: messageOf(error), remedy }
  } finally {
    await rm(parent, { recursive: true, force: true })
  }
}

async function checkDisk(dataDir: string): Promise<HostCheck> {
  const name = 'disk space'
  const { bavail, bsize } = await statfs(await writable(dataDir))
  const freeBytes = bavail * bsize
  const detail = `${(freeBytes / 1024 ** 3).toFixed(1)} GiB free`
  if (freeBytes >= LOW_DISK_BYTES) return ok(name, detail)
  return { name, state: 'degraded', detail, remedy: `free space, or move SLIPWAY_DATA: expected 5 GiB` }
}

function checkSys(): HostCheck {
  const name = 'system calls'
  if (openSys().via === 'ffi') return ok(name, 'made in this process')
  const remedy = 'use Node 26 as package.json names it'
  return { name, state: 'degraded', detail: 'made by spawned tools, some milliseconds slower each', remedy }
}

/** The nearest directory that is there: a first start has no data directory yet. */
async function writable(dir: string): Promise<string> {
  for (let path = dir; path !== '/'; path = join(path, '..')) {
    const found = await statfs(path).then(
      () => true,
      () => false,
    )
    if (found) return path
  }
  return tmpdir()
}
