import { type Dirent, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { SlipwayError } from '#domain/errors'
import type { ContainerDevice } from '../contract.ts'

/** A container has its own of these, and the console is nobody's. */
const OWN = new Set(['pts', 'shm', 'mqueue', 'fd', 'console', 'ptmx', '.udev', '.lxc'])

/** Every device node of the host. */
export function hostDevices(dir = '/dev'): ContainerDevice[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => devicesAt(join(dir, entry.name), entry))
}

function devicesAt(path: string, entry: Dirent): ContainerDevice[] {
  if (OWN.has(entry.name)) return []
  if (entry.isDirectory()) return hostDevices(path)
  return entry.isCharacterDevice() || entry.isBlockDevice() ? [{ source: path, target: path, permissions: 'rwm' }] : []
}

/** https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#devices, and the rule that lets it be used. */
export function deviceNodes(devices: readonly ContainerDevice[]) {
  return devices.flatMap(({ source, target, permissions }) => {
    const stats = statSync(source, { throwIfNoEntry: false })
    if (!stats) return []
    if (!stats.isCharacterDevice() && !stats.isBlockDevice())
      throw new SlipwayError('invalid', `${source} is no device, expected a character or block device`)
    const type = stats.isBlockDevice() ? ('b' as const) : ('c' as const)
    const [major, minor] = numbersOf(stats.rdev)
    const { mode, uid, gid } = stats
    return [
      {
        node: { path: target, type, major, minor, fileMode: mode & 0o777, uid, gid },
        rule: { allow: true, type, major, minor, access: permissions },
      },
    ]
  })
}

/** As glibc's gnu_dev_major(3) and gnu_dev_minor(3) take a number apart. */
function numbersOf(rdev: number): [major: number, minor: number] {
  const device = BigInt(rdev)
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn)
  const minor = (device & 0xffn) | ((device >> 12n) & ~0xffn & 0xffff_ffffn)
  return [Number(major), Number(minor)]
}
