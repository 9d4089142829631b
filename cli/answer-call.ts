import { writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { BuildRequest } from '#buildkit-lite'
import type { Config } from '#host/config'
import { type Call, runCall } from './build-call.ts'
import type { BuildFlags } from './build-flags.ts'
import type { Work } from './carry-out-build.ts'
import { isRemote } from './open-context.ts'
import { openRegistry } from './registry-access.ts'
import { watchRegistry } from './watch-registry.ts'

/** Answers a call other than `build`, once nothing is drawn any more; needs no rights, for nothing is run. */
export async function answerCall(
  call: Call,
  request: BuildRequest,
  { config, place, flags, progress }: Pick<Work, 'place' | 'flags' | 'progress'> & { config: Config },
  signal: AbortSignal,
): Promise<number> {
  const registry = watchRegistry(await openRegistry(config, homedir()), progress)
  const shownName = (name: string) => nameOf(place, flags, name)
  const { code, stdout, stderr, json } = await runCall(call, request, { registry, shownName }, signal)
  await progress.close()
  if (flags.metadataFile) {
    const report = { 'result.json': JSON.parse(json) as unknown, 'result.statuscode': String(code) }
    await writeFile(flags.metadataFile, `${JSON.stringify(report, null, 2)}\n`)
  }
  process.stdout.write(stdout)
  process.stderr.write(stderr)
  return code
}

/** The Dockerfile as the person who asked can open it; one from afar keeps its name in the context. */
function nameOf(place: string, { file }: Pick<BuildFlags, 'file'>, name: string): string {
  if (file === '-' || (file === undefined && isRemote(place))) return name
  return file ?? join(place, name)
}
