import { chmod, copyFile, mkdir, mkdtempDisposable, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config } from '#host/config'
import { run } from '#host/exec'
import { importImage } from './import.ts'

/** Makes the `busybox` base image from Debian's static binary: its applets as links, and the files programs look for. */
export async function importBusybox(config: Config, signal: AbortSignal): Promise<void> {
  await using work = await mkdtempDisposable(join(tmpdir(), 'slipway-busybox-'))
  const root = work.path
  for (const directory of ['bin', 'etc', 'root', 'home', 'tmp', 'var', 'usr'])
    await mkdir(join(root, directory), { recursive: true })
  await chmod(join(root, 'tmp'), 0o1777)
  await copyFile('/bin/busybox', join(root, 'bin/busybox'))
  const { stdout } = await run('/bin/busybox', ['--list'], { signal })
  for (const applet of stdout.toString().split('\n').filter(Boolean)) {
    if (applet !== 'busybox') await symlink('busybox', join(root, 'bin', applet))
  }
  await writeFile(
    join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n',
  )
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n')
  await importImage(config, { source: root, name: 'busybox', changes: ['CMD ["sh"]'] }, signal)
}
