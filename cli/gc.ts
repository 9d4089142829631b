import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  collectGarbage,
  type DiskReport,
  openBlobStore,
  openBuildStores,
  reapScratch,
  STATE_DIRS,
  type Verification,
  verifyDisk,
} from '#buildkit-lite'
import { SlipwayError } from '#domain/errors'
import type { Config } from '#host/config'
import { openSys } from '#host/sys'
import { openSnapshotStore } from '#sandbox'

interface GcRequest {
  dryRun: boolean
  all: boolean
  verify: boolean
  /** Instead of what the environment says. */
  maxBytes: number | undefined
}

export type DiskAnswer = { dryRun: boolean } & (
  | ({ kind: 'collected' } & DiskReport)
  | ({ kind: 'verified' } & Verification)
)

/** Collects garbage of the data directory, or verifies it. */
export async function runGc(config: Config, request: GcRequest, signal: AbortSignal): Promise<DiskAnswer> {
  const { dataDir } = config
  const { dryRun, all, maxBytes } = request
  if (!(await stat(dataDir).catch(() => null))?.isDirectory())
    throw new SlipwayError('not-found', `SLIPWAY_DATA ${dataDir} is no directory: there is nothing to collect`)
  if (process.getuid?.() !== 0)
    throw new SlipwayError('forbidden', 'What builds keep belongs to root: run this as root or with sudo')
  if (!dryRun) await removeLeftovers(dataDir)
  const stores = [openSnapshotStore(dataDir), ...openBuildStores(dataDir)]
  if (request.verify) return { kind: 'verified', dryRun, ...(await verifyDisk({ dataDir, stores, dryRun }, signal)) }
  const limits = {
    ...config.cacheLimits,
    ...(maxBytes === undefined ? {} : { maxBytes, minFreeBytes: 0 }),
    ...(all ? { keepNothing: true as const } : {}),
  }
  return { kind: 'collected', dryRun, ...(await collectGarbage({ dataDir, stores, limits, dryRun }, signal)) }
}

/** What killed processes were writing. */
async function removeLeftovers(dataDir: string): Promise<void> {
  await openBlobStore(join(dataDir, 'blobs'))
  for (const name of STATE_DIRS) await reapScratch(openSys(), join(dataDir, name))
}
