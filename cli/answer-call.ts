import { homedir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { BuildRequest } from '#buildkit-lite'
import type { Config } from '#host/config'
import { type Call, runCall } from './build-call.ts'
import type { BuildFlags } from './build-flags.ts'
import type { Work } from './carry-out-build.ts'
import { isRemote } from './open-context.ts'
import { openRegistry } from './registry-access.ts'
import { watchRegistry } from './watch-inputs.ts'

/** Answers a call other than `build`, once nothing is drawn any more; needs no rights, for nothing is run. */
export async function answerCall(
  call: Call,
  request: BuildRequest,
  { config, place, flags, progress }: Pick<Work, 'place' | 'flags' | 'progress'> & { config: Config },
  signal: AbortSignal,
): Promise<number> {
  const registry = watchRegistry(await openRegistry(config, homedir()), progress)
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const said = Promise.all([text(stdout), text(stderr)])
  const code = await runCall(call, request, { registry, stdout, stderr, shownFile: shownFile(place, flags) }, signal)
  stdout.end()
  stderr.end()
  const [answer, complaint] = await said
  await progress.close()
  process.stdout.write(answer)
  process.stderr.write(complaint)
  return code
}

/** The Dockerfile as the person who asked can open it; one from afar keeps its name in the context. */
function shownFile(place: string, { file }: Pick<BuildFlags, 'file'>): string | null {
  if (file !== undefined && file !== '-') return file
  return file === '-' || isRemote(place) ? null : join(place, 'Dockerfile')
}
