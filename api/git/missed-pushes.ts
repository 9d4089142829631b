import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '#domain/errors'
import { ProjectName } from '#domain/ids'
import type { ApiDeps } from '../deps.ts'
import { acceptPush } from './accept-push.ts'
import { readRefUpdates } from './ref-updates.ts'
import { repositoriesDir, repositoryDir } from './repositories.ts'

const PREFIX = 'slipway-missed-'
const PAUSE_MS = 30_000

/** Builds the pushes whose hooks could not reach us: at the start, and again in a while for those that fail now. */
export async function acceptMissedPushes(deps: ApiDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      for (const project of await projectsWithRepositories(deps.config.dataDir)) await acceptMissed(deps, project)
    } catch (error) {
      deps.log.warn({ reason: messageOf(error) }, 'missed pushes could not be handled')
    }
    await sleep(PAUSE_MS, undefined, { signal, ref: false }).catch(() => {})
  }
}

async function acceptMissed(deps: ApiDeps, project: ProjectName): Promise<void> {
  const dir = repositoryDir(deps.config.dataDir, project)
  const names = (await readdir(dir)).filter((name) => name.startsWith(PREFIX) && !name.endsWith('.part'))
  for (const name of names) {
    const updates = readRefUpdates(await readFile(join(dir, name), 'utf8'))
    const { builds } = await acceptPush(deps, { id: name.slice(PREFIX.length), project, pusher: 'unknown', updates })
    await rm(join(dir, name), { force: true })
    deps.log.info({ project, builds: builds.length }, 'missed push handled')
  }
}

async function projectsWithRepositories(dataDir: string): Promise<ProjectName[]> {
  const root = repositoriesDir(dataDir)
  const spaces = await readdir(root).catch(() => [])
  const names = spaces.map(async (space) => (await readdir(join(root, space))).map((name) => `${space}/${name}`))
  return (await Promise.all(names)).flat().flatMap((name) => {
    const project = ProjectName.safeParse(name.replace(/\.git$/, ''))
    return project.success ? [project.data] : []
  })
}
