import { join } from 'node:path'
import type { DiskStore } from '#host/disk-store'
import { downloadsDir } from '../remote/download.ts'
import { mirrorsDir } from '../remote/git-remote.ts'
import { openBlobFiles } from './blob-files.ts'
import { openCacheMountFiles } from './cache-mount-files.ts'
import { openSourceFiles } from './source-files.ts'
import { openStepRecords } from './step-records.ts'

/** Where the builders of one data directory keep their state: the worker's, and the command line's. */
export const STATE_DIRS = ['build-state', 'builder'] as const

/** Everything that builds keep below a data directory but snapshots, which are the sandbox's. */
export function openBuildStores(dataDir: string): DiskStore[] {
  const ofState = STATE_DIRS.flatMap((name) => {
    const stateDir = join(dataDir, name)
    return [
      openCacheMountFiles(stateDir),
      openSourceFiles({ dataDir, kind: 'download', root: downloadsDir(stateDir) }),
      openSourceFiles({ dataDir, kind: 'git-repository', root: mirrorsDir(stateDir) }),
    ]
  })
  return [
    openBlobFiles(dataDir),
    ...ofState,
    openSourceFiles({ dataDir, kind: 'git-repository', root: join(dataDir, 'git', 'mirrors'), markedLate: true }),
    openStepRecords(join(dataDir, 'builder', 'cache'), join(dataDir, 'blobs', 'sha256')),
  ]
}
