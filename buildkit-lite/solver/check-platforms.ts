import { DockerfileError, type SourceText } from '../dockerfile/errors.ts'
import type { Plan, PlanStep, Platform } from '../plan/plan.ts'
import { formatPlatform, normalisePlatform } from '../plan/platform.ts'
import { BINFMT_DIR, type Emulators } from './emulators.ts'

export interface Machine {
  platform: Platform
  emulators: Emulators
}

/** Refuses a plan with programs that this machine cannot run, before any of its steps runs. */
export function checkPlatforms(
  { steps }: Plan,
  { wanted, source }: { wanted: Platform; source: SourceText },
  machine: Machine,
): void {
  const platforms: Platform[] = []
  for (const step of steps) {
    const platform = platformOf(step, platforms, wanted)
    platforms.push(platform)
    if (step.operation.kind === 'run' && !canRun(platform, machine)) throw refusal(step, platform, { source, machine })
  }
}

/** That of the image at the bottom: steps stand behind those they are made on. */
function platformOf({ operation }: PlanStep, before: readonly Platform[], wanted: Platform): Platform {
  if (operation.kind !== 'base') return operation.input === null ? wanted : (before[operation.input] ?? wanted)
  const { os, architecture, variant } = operation.image.config
  return normalisePlatform({ os, architecture, ...(variant ? { variant } : {}) })
}

/** What a processor runs besides its own. */
const ALSO: Readonly<Record<string, string>> = { amd64: '386', arm64: 'arm' }

function canRun({ os, architecture }: Platform, { platform: own, emulators }: Machine): boolean {
  if (os !== own.os) return false
  return (
    own.architecture === architecture || ALSO[own.architecture] === architecture || emulators.ready.has(architecture)
  )
}

function refusal(
  { title, stage, line, lastLine }: PlanStep,
  platform: Platform,
  { source, machine }: { source: SourceText; machine: Machine },
): DockerfileError {
  const first = line ?? 1
  const facts = `"${title}" of stage ${stage} is for ${formatPlatform(platform)}, but this machine runs ${formatPlatform(machine.platform)}`
  const message = `${facts}${whatToDo(platform, machine)}`
  return new DockerfileError(message, source, { first, last: lastLine ?? first })
}

function whatToDo({ os, architecture }: Platform, { platform: own, emulators }: Machine): string {
  if (os !== own.os) return `: build it on a machine of ${os}`
  const state = emulators.unfixed.has(architecture)
    ? `the emulator for ${architecture} in ${BINFMT_DIR} is registered without the flag F, so that containers do not find it`
    : `no emulator for ${architecture} is registered in ${BINFMT_DIR}`
  return (
    ` and ${state}. Register one (packages qemu-user-static and binfmt-support), build on a machine of that platform, ` +
    'or let the stage run on this one with FROM --platform=$BUILDPLATFORM'
  )
}
