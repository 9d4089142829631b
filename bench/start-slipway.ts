import { cp, mkdir, mkdtempDisposable, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RunningSlipway, startSlipway } from '#test/slipway'

/** A Slipway of its own with a `busybox` base image. */
export async function startBenchSlipway(): Promise<RunningSlipway> {
  const slipway = await startSlipway()
  await using root = await mkdtempDisposable(join(tmpdir(), 'slipway-bench-'))
  await mkdir(join(root.path, 'bin'))
  await cp('/bin/busybox', join(root.path, 'bin/busybox'))
  for (const applet of ['sh', 'echo', 'sleep', 'seq', 'date', 'true', 'dd', 'sha256sum'])
    await symlink('busybox', join(root.path, 'bin', applet))
  await slipway.slipway('import', root.path, 'busybox')
  return slipway
}
