import { messageOf } from '#domain/errors'
import { type Call, parseCall } from './build-call.ts'
import type { BuildFlags } from './build-flags.ts'
import { readNames } from './build-outputs.ts'
import { readCacheSources, readCacheTargets } from './cache-flags.ts'
import { UsageError } from './exit-codes.ts'
import { readImageSettings, readPlatforms } from './image-settings.ts'
import { readProgressForm } from './open-progress.ts'
import { readOutputs } from './read-outputs.ts'
import { readAsked } from './read-request.ts'

/** Everything that flags say, read before anything is opened. */
export function readFlags(flags: BuildFlags) {
  checkNames(flags.tag)
  const cacheTargets = readCacheTargets(flags.cacheTo)
  const inlineCache = cacheTargets.some(({ kind }) => kind === 'inline')
  const image = { ...readImageSettings(flags), ...(inlineCache ? { inlineCache } : {}) }
  return {
    call: readCall(flags),
    form: readProgressForm(flags),
    asked: readAsked(flags),
    image,
    platforms: readPlatforms(flags.platform),
    outputs: readOutputs(flags, image),
    cacheSources: readCacheSources(flags.cacheFrom),
    cacheTargets,
  }
}
export type ReadFlags = ReturnType<typeof readFlags>

function checkNames(names: readonly string[]): void {
  try {
    readNames(names)
  } catch (error) {
    throw new UsageError(`--tag: ${messageOf(error)}`)
  }
}

function readCall({ check, call = '' }: Pick<BuildFlags, 'check' | 'call'>): Call {
  const read = parseCall(call)
  if (!check) return read
  if (call !== '' && read.method !== 'check') throw new UsageError(`--check and --call=${call} cannot be used together`)
  return { ...read, method: 'check' }
}

/** What has no effect here, but is no reason not to build. */
export function readNotes(flags: BuildFlags): string[] {
  if (flags.load)
    throw new UsageError(
      '--load needs a Docker daemon, and there is none here. Use "-o type=docker | docker load" or --push instead',
    )
  const notes: string[] = []
  if (flags.builder !== undefined) notes.push(`--builder ${flags.builder} is ignored: there is one builder`)
  if (flags.cgroupParent !== undefined)
    notes.push(`--cgroup-parent ${flags.cgroupParent} is ignored: steps have control groups of Slipway's own`)
  if (flags.squash) notes.push('--squash is ignored: copy from one stage into another instead')
  if (flags.isolation !== undefined) notes.push(`--isolation ${flags.isolation} is ignored: every step has a sandbox`)
  for (const option of flags.securityOpt)
    notes.push(`--security-opt ${option} is ignored: a RUN asks for more with --security=insecure`)
  return notes
}
