import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Where the kernel lists programs that run those of other machines. https://docs.kernel.org/admin-guide/binfmt-misc.html */
export const BINFMT_DIR = '/proc/sys/fs/binfmt_misc'

/** e_machine of ELF, with its class (1 is 32 bits) and byte order (1 is little). https://man7.org/linux/man-pages/man5/elf.5.html */
const MACHINES: Readonly<Record<string, string>> = {
  '2 1 62': 'amd64',
  '2 1 183': 'arm64',
  '1 1 40': 'arm',
  '1 1 3': '386',
  '2 1 243': 'riscv64',
  '2 1 21': 'ppc64le',
  '2 2 22': 's390x',
  '2 1 258': 'loong64',
  '2 1 8': 'mips64le',
}

export interface Emulators {
  /** Architectures whose programs run in any root file system. */
  ready: ReadonlySet<string>
  /** Those whose emulator would have to lie in the root file system itself: it was registered without the flag F. */
  unfixed: ReadonlySet<string>
}

/** What is registered and switched on; nothing where the kernel has no such list. */
export async function readEmulators(directory = BINFMT_DIR): Promise<Emulators> {
  const names = await readdir(directory).catch(() => [])
  const ready = new Set<string>()
  const unfixed = new Set<string>()
  for (const name of names) {
    const text = await readFile(join(directory, name), 'latin1').catch(() => '')
    const architecture = architectureOf(text)
    if (architecture === undefined) continue
    if (/^flags: .*F/m.test(text)) ready.add(architecture)
    else unfixed.add(architecture)
  }
  return { ready, unfixed }
}

function architectureOf(text: string): string | undefined {
  const magic = Buffer.from(/^magic ([0-9a-f]+)$/m.exec(text)?.[1] ?? '', 'hex')
  const isElf = magic.length >= 20 && magic.toString('latin1', 0, 4) === '\x7fELF'
  if (!/^enabled$/m.test(text) || !isElf) return undefined
  const [bits, order] = [magic.readUInt8(4), magic.readUInt8(5)]
  const machine = order === 2 ? magic.readUInt16BE(18) : magic.readUInt16LE(18)
  return MACHINES[`${bits} ${order} ${machine}`]
}
