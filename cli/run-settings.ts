import { isIP } from 'node:net'
import { type BuildRequest, DEFAULT_RUN_SETTINGS, type Entitlement, type RunSettings } from '#buildkit-lite'
import type { BuildFlags } from './build-flags.ts'
import { UsageError } from './exit-codes.ts'
import { readBytes, splitList } from './flag-values.ts'

type RunFlags = Pick<
  BuildFlags,
  | 'allow'
  | 'network'
  | 'shmSize'
  | 'ulimit'
  | 'memory'
  | 'memorySwap'
  | 'cpuShares'
  | 'cpuPeriod'
  | 'cpuQuota'
  | 'cpusetCpus'
  | 'cpusetMems'
>

/** What every RUN gets, but for agents, which have to be opened. */
export function readRunSettings(flags: RunFlags): RunSettings {
  return {
    ...DEFAULT_RUN_SETTINGS,
    entitlements: readEntitlements(flags),
    shmSizeBytes: flags.shmSize === undefined ? null : readBytes('--shm-size', flags.shmSize) || null,
    ulimits: readUlimits(flags.ulimit),
    resources: readResources(flags),
  }
}

/** `--network` of the whole build; docker's word for its default is known, too. */
export function readNetwork(mode: string | undefined): BuildRequest['network'] {
  switch (mode) {
    case undefined:
    case '':
    case 'bridge':
    case 'default':
      return 'default'
    case 'none':
    case 'host':
      return mode
    default:
      throw new UsageError(`--network "${mode}" is not supported: expected default, none or host`)
  }
}

/** Who asks for the host's network for the whole build allows it. */
function readEntitlements({ allow, network }: Pick<RunFlags, 'allow' | 'network'>): Entitlement[] {
  const given = splitList(allow).map((name): Entitlement => {
    if (name === 'network.host' || name === 'security.insecure') return name
    if (name === 'device' || name.startsWith('device=')) return 'device'
    throw new UsageError(`--allow "${name}" is unknown: expected network.host or security.insecure`)
  })
  return [...new Set(network === 'host' ? [...given, 'network.host' as const] : given)]
}

const LIMITS = 'core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(
  ' ',
)

/** `name=soft[:hard]`; without a hard limit it is the soft one. The last of a name counts. */
function readUlimits(flags: readonly string[]): RunSettings['ulimits'] {
  const limits = new Map<string, RunSettings['ulimits'][number]>()
  for (const flag of flags) {
    const [, name = '', soft, hard = soft] = /^([a-z]+)=(-1|\d+)(?::(-1|\d+))?$/.exec(flag) ?? []
    if (soft === undefined) throw new UsageError(`--ulimit "${flag}" is not NAME=SOFT[:HARD]`)
    if (!LIMITS.includes(name))
      throw new UsageError(`--ulimit "${flag}": there is no limit "${name}", expected one of ${LIMITS.join(', ')}`)
    const limit = { name, soft: Number(soft), hard: Number(hard) }
    if (limit.hard !== -1 && (limit.soft === -1 || limit.soft > limit.hard))
      throw new UsageError(`--ulimit "${flag}": the soft limit is above the hard one`)
    limits.set(name, limit)
  }
  return [...limits.values()]
}

function readResources(flags: RunFlags): RunSettings['resources'] {
  const memoryBytes = flags.memory === undefined ? null : readBytes('--memory', flags.memory) || null
  return {
    memoryBytes,
    memorySwapBytes: readSwap(flags.memorySwap, memoryBytes),
    cpuShares: readCount('--cpu-shares', flags.cpuShares),
    cpuPeriodUs: readCount('--cpu-period', flags.cpuPeriod),
    cpuQuotaUs: readCount('--cpu-quota', flags.cpuQuota),
    cpusetCpus: readSet('--cpuset-cpus', flags.cpusetCpus),
    cpusetMems: readSet('--cpuset-mems', flags.cpusetMems),
  }
}

function readSwap(text: string | undefined, memoryBytes: number | null): number | null {
  if (text === undefined) return null
  if (text === '-1') return -1
  const bytes = readBytes('--memory-swap', text) || null
  if (bytes === null) return null
  if (memoryBytes === null) throw new UsageError('--memory-swap needs --memory, which it includes')
  if (bytes < memoryBytes) throw new UsageError(`--memory-swap ${text} is less than --memory, which it includes`)
  return bytes
}

/** A positive number; 0 asks for nothing, as in docker. */
function readCount(flag: string, text: string | undefined): number | null {
  if (text === undefined || text === '0') return null
  if (!/^\d+$/.test(text)) throw new UsageError(`${flag} "${text}" is no positive number`)
  return Number(text)
}

/** `0-2,4` */
function readSet(flag: string, text: string | undefined): string | null {
  if (text === undefined || text === '') return null
  if (!/^\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*$/.test(text))
    throw new UsageError(`${flag} "${text}" is no list: expected numbers and ranges such as 0-2,4`)
  return text
}

/** Lines of /etc/hosts. Steps reach the host itself only on its own network, where it is the loopback. */
export function readHosts(flags: readonly string[], network = 'default'): { name: string; address: string }[] {
  return flags.map((flag) => {
    const [, name, given = ''] = /^([^:=\s]+)[:=](.+)$/.exec(flag) ?? []
    const address = /^\[(.*)\]$/.exec(given)?.[1] ?? given
    if (!name || address === '') throw new UsageError(`--add-host "${flag}" is not NAME:IP`)
    if (address === 'host-gateway') return { name, address: hostGateway(flag, network) }
    if (isIP(address) === 0) throw new UsageError(`--add-host "${flag}": failed to parse IP ${address}`)
    return { name, address }
  })
}

function hostGateway(flag: string, network: string): string {
  if (network === 'host') return '127.0.0.1'
  throw new UsageError(
    `--add-host "${flag}": steps cannot reach this host, so there is no host-gateway. Give an address, or --network host`,
  )
}
