import { rm } from 'node:fs/promises'
import type { Project } from '#domain/project'
import type { ApiDeps } from '../deps.ts'
import { repositoryDir } from '../git/repositories.ts'

/** Removes a project with its records and its repository; its images stay in the registry. */
export async function removeProject(deps: ApiDeps, project: Project): Promise<void> {
  await deps.store.projects.remove(project.name)
  await rm(repositoryDir(deps.config.dataDir, project.name), { recursive: true, force: true })
}
