import { homedir } from 'node:os'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { BuildRequest } from '#buildkit-lite'
import type { Config } from '#host/config'
import { type Call, runCall } from './build-call.ts'
import type { BuildFlags } from './build-flags.ts'
import type { Progress } from './progress.ts'
import { openRegistry } from './registry-access.ts'
import { watchRegistry } from './watch-inputs.ts'

/** Answers a call other than `build`, once nothing is drawn any more; needs no rights, for nothing is run. */
export async function answerCall(
  call: Call,
  request: BuildRequest,
  { config, flags, progress }: { config: Config; flags: Pick<BuildFlags, 'file'>; progress: Progress },
  signal: AbortSignal,
): Promise<number> {
  const registry = watchRegistry(await openRegistry(config, homedir()), progress)
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const said = Promise.all([text(stdout), text(stderr)])
  const shownFile = flags.file === undefined || flags.file === '-' ? null : flags.file
  const code = await runCall(call, request, { registry, stdout, stderr, shownFile }, signal)
  stdout.end()
  stderr.end()
  const [answer, complaint] = await said
  await progress.close()
  process.stdout.write(answer)
  process.stderr.write(complaint)
  return code
}
