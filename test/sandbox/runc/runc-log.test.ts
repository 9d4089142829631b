import { expect, test } from 'vitest'
import { startError } from '../../../sandbox/runc/runc-log.ts'

const wrap = (message: string) => `runc run failed: unable to start container process: ${message}: unknown`

test.for([
  [wrap('exec: "nope": executable file not found in $PATH'), 'step-failed', 127],
  [wrap('exec: "/a/b": stat /a/b: no such file or directory'), 'step-failed', 127],
  [wrap('exec: "/etc": permission denied'), 'step-failed', 126],
  [wrap('exec: "/etc": is a directory'), 'step-failed', 126],
  [wrap('exec: "/bin/sh": stat /bin/sh: too many levels of symbolic links'), 'step-failed', 126],
  [wrap('error setting cgroup config: unable to set memory limit to 1 (current usage: 2)'), 'step-failed', undefined],
  [wrap('error during container init: sethostname: invalid argument'), 'step-failed', undefined],
  [wrap('error during container init: error setting rlimit type 6: invalid argument'), 'step-failed', undefined],
  [
    wrap('error during container init: error mounting "/a" to rootfs at "/m": mkdir /r/m: read-only file system'),
    'step-failed',
    undefined,
  ],
  [wrap('error during container init: error mounting "x" to rootfs: no such file or directory'), 'internal', undefined],
  [null, 'internal', undefined],
] as const)('%s', ([message, kind, exitCode]) => {
  const error = startError('prog', message)
  expect(error).toMatchObject({ kind, ...(exitCode === undefined ? {} : { exitCode }) })
  expect(error.message).toMatch(/"prog"|^nothing can be mounted at \/m: read-only file system$/)
  expect(error.message).not.toMatch(/runc run failed|: unknown$/)
})
