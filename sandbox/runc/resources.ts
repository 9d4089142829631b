import type { ContainerLimits } from '../contract.ts'

const CPU_PERIOD_US = 100_000

/** The `resources` of a control group but for its devices; runc turns them into what the kernel's version has. */
export function resourcesOf(limits: ContainerLimits, limitsSwap: boolean) {
  const { pids } = limits
  const memory = memoryOf(limits, limitsSwap)
  const cpu = cpuOf(limits)
  return {
    ...(Object.keys(memory).length > 0 ? { memory } : {}),
    ...(Object.keys(cpu).length > 0 ? { cpu } : {}),
    ...(pids === null ? {} : { pids: { limit: pids } }),
  }
}

function memoryOf({ memoryBytes: limit, memorySwapBytes }: ContainerLimits, limitsSwap: boolean) {
  const swap = memorySwapBytes ?? limit
  return { ...(limit === null ? {} : { limit }), ...(swap === null || !limitsSwap ? {} : { swap }) }
}

function cpuOf(limits: ContainerLimits) {
  const { cpus, cpuShares: shares, cpuPeriodUs, cpuQuotaUs, cpusetCpus, cpusetMems } = limits
  const ofCpus = cpus === null ? null : Math.round(cpus * CPU_PERIOD_US)
  const isGiven = Boolean(cpuPeriodUs || cpuQuotaUs)
  const quota = isGiven ? cpuQuotaUs : ofCpus
  const period = isGiven ? cpuPeriodUs : ofCpus === null ? null : CPU_PERIOD_US
  return {
    ...(shares ? { shares } : {}),
    ...(quota ? { quota } : {}),
    ...(period ? { period } : {}),
    ...(cpusetCpus ? { cpus: cpusetCpus } : {}),
    ...(cpusetMems ? { mems: cpusetMems } : {}),
  }
}
