import { readdirSync } from 'node:fs'
import { onDisk, resolveBeneath, statBeneath } from '../solver/beneath.ts'
import { type Distribution, type FoundPackage, licenseOf, readInner, readStanzas } from './package.ts'
import { packageUrl } from './purl.ts'

/** https://www.freedesktop.org/software/systemd/man/latest/os-release.html */
export function readDistribution(root: string): Distribution {
  const text = readInner(root, '/etc/os-release') ?? readInner(root, '/usr/lib/os-release') ?? ''
  const valueOf = (name: string): string => {
    const line = text.split('\n').find((one) => one.startsWith(`${name}=`)) ?? ''
    return line
      .slice(name.length + 1)
      .trim()
      .replace(/^(['"])(.*)\1$/, '$2')
  }
  return { id: valueOf('ID'), version: valueOf('VERSION_ID') }
}

/** Packages of dpkg: its status file, and the files beside it that images without a package manager have. */
export function readDpkg(root: string, distribution: Distribution): FoundPackage[] {
  const files = [
    '/var/lib/dpkg/status',
    ...filesIn(root, '/var/lib/dpkg/status.d').filter((path) => !path.endsWith('.md5sums')),
  ]
  return files.flatMap((path) =>
    [...readStanzas(readInner(root, path) ?? '')].flatMap((fields) => {
      const [name, version] = [fields.get('Package'), fields.get('Version')]
      const status = fields.get('Status')
      if (!name || !version || (status && !status.endsWith(' installed'))) return []
      const arch = fields.get('Architecture')
      const purl = systemPurl('deb', { name, version, arch }, distribution)
      return [{ name, version, purl, license: null, path }]
    }),
  )
}

/** https://wiki.alpinelinux.org/wiki/Apk_spec#Installed_Database_V2 */
export function readApk(root: string, distribution: Distribution): FoundPackage[] {
  return ['/lib/apk/db/installed', '/usr/lib/apk/db/installed'].flatMap((path) => {
    // A merged /usr shows one database under both names.
    if (path.startsWith('/usr') && resolveBeneath(root, '/lib/apk/db') === '/usr/lib/apk/db') return []
    return [...readStanzas(readInner(root, path) ?? '', ':')].flatMap((fields) => {
      const [name, version, arch] = [fields.get('P'), fields.get('V'), fields.get('A')]
      if (!name || !version) return []
      const purl = systemPurl('apk', { name, version, arch }, distribution)
      return [{ name, version, purl, license: licenseOf(fields.get('L')), path }]
    })
  })
}

function systemPurl(
  type: 'deb' | 'apk',
  { name, version, arch }: { name: string; version: string; arch: string | undefined },
  distribution: Distribution,
): string {
  const { id } = distribution
  const distro = distribution.version === '' ? id : `${id}-${distribution.version}`
  return packageUrl({ type, namespace: id, name, version, qualifiers: { arch, distro } })
}

function filesIn(root: string, directory: string): string[] {
  const real = resolveBeneath(root, directory)
  if (!statBeneath(root, real)?.isDirectory()) return []
  return readdirSync(onDisk(root, real), { encoding: 'latin1' })
    .sort()
    .map((name) => `${real}/${name}`)
}
