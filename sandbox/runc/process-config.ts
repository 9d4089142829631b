import { readFile } from 'node:fs/promises'
import type { ContainerSpec } from '../contract.ts'
import { capabilitiesIn, capabilitiesOf } from './capabilities.ts'
import { rlimitsOf } from './rlimits.ts'

/** Programs of old that close every possible file descriptor would take minutes with a higher soft limit. */
const OPEN_FILES = { soft: 1024, hard: 524_288 }
const UMASK = 0o022

export interface ProcessSettings {
  args: readonly string[]
  env: readonly string[]
  workingDir: string
  user: ContainerSpec['user']
  security: ContainerSpec['security']
  rlimits?: ContainerSpec['rlimits']
  ours: OwnLimits
  terminal?: boolean
}

/** What our own process has and cannot give away more of. */
export interface OwnLimits {
  /** The kernel's out-of-memory killer spares no container more than it spares us. */
  oomScoreAdj: number
  /** Hard limit of open files. */
  openFiles: number
  capabilities: readonly string[]
}

export async function readOwnLimits(): Promise<OwnLimits> {
  const [oomScoreAdj = '', limits = '', status = ''] = await Promise.all(
    ['oom_score_adj', 'limits', 'status'].map((name) => readFile(`/proc/self/${name}`, 'utf8')),
  )
  const openFiles = /^Max open files +\S+ +(\d+)/m.exec(limits)?.[1]
  const permitted = /^CapPrm:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'
  return {
    oomScoreAdj: Number(oomScoreAdj),
    openFiles: Number(openFiles ?? OPEN_FILES.hard),
    capabilities: capabilitiesIn(BigInt(`0x${permitted}`)),
  }
}

/** The `process` of the runtime specification, https://github.com/opencontainers/runtime-spec/blob/main/config.md#process */
export function processConfig(settings: ProcessSettings) {
  const { uid, gid, additionalGids } = settings.user
  const { oomScoreAdj, openFiles, capabilities } = settings.ours
  const files = {
    name: 'nofile',
    soft: Math.min(OPEN_FILES.soft, openFiles),
    hard: Math.min(OPEN_FILES.hard, openFiles),
  }
  return {
    terminal: settings.terminal ?? false,
    user: { uid, gid, additionalGids, umask: UMASK },
    args: settings.args,
    env: settings.env,
    cwd: settings.workingDir,
    capabilities: capabilitiesOf(settings.security, uid, capabilities),
    rlimits: rlimitsOf([files, ...(settings.rlimits ?? [])]),
    oomScoreAdj,
    noNewPrivileges: false,
  }
}
