import type { Redis } from 'ioredis'
import { SlipwayError } from '#domain/errors'
import type { ProjectName } from '#domain/ids'
import { Project, type ProjectChange } from '#domain/project'
import type { ProjectSecrets, Projects } from './contract.ts'
import { keys } from './keys.ts'
import { removeProject } from './remove-project.ts'
import { runScript } from './scripts.ts'

/** Projects are hashes: the record that everybody may see, and beside it the secrets and the count of builds. */
export function createProjects(redis: Redis): Projects {
  const get = async (name: ProjectName): Promise<Project | null> => {
    const record = await redis.hget(keys.project(name), 'record')
    return record === null ? null : Project.parse(JSON.parse(record))
  }
  return {
    get,
    async create(project, secrets) {
      const record = Project.parse(project)
      const fields = Object.entries(secrets).flatMap(([field, value]: [string, string | null]) =>
        value === null ? [] : [field, value],
      )
      const args = [record.name, JSON.stringify(record), ...fields]
      const made = await runScript<number>(redis, 'create-project', [keys.project(record.name), keys.projects], args)
      if (made === 0) throw new SlipwayError('already-exists', `Project ${record.name} exists already`)
      return record
    },
    async list() {
      const names = (await redis.smembers(keys.projects)).sort() as ProjectName[]
      const projects = await Promise.all(names.map(get))
      return projects.filter((project) => project !== null)
    },
    change: (name, change) => changeProject(redis, name, change),
    remove: (name) => removeProject(redis, name),
    async secrets(name) {
      const [record, webhookSecret, webhookSigningToken] = await redis.hmget(
        keys.project(name),
        'record',
        'webhookSecret',
        'webhookSigningToken',
      )
      if (!record) throw missing(name)
      return { webhookSecret: webhookSecret ?? null, webhookSigningToken: webhookSigningToken ?? null }
    },
  }
}

async function changeProject(redis: Redis, name: ProjectName, change: ProjectChange): Promise<Project> {
  const { webhookSecret, webhookSigningToken, ...fields } = change
  const secrets: Partial<ProjectSecrets> = {
    ...(webhookSecret === undefined ? {} : { webhookSecret }),
    ...(webhookSigningToken === undefined ? {} : { webhookSigningToken }),
  }
  const secretArgs = Object.entries(secrets).flatMap(([field, value]: [string, string | null]) => [field, value ?? ''])
  for (;;) {
    const before = await redis.hget(keys.project(name), 'record')
    if (before === null) throw missing(name)
    const after = Project.parse({ ...JSON.parse(before), ...fields })
    const args = [before, JSON.stringify(after), ...secretArgs]
    if ((await runScript<number>(redis, 'swap-record', [keys.project(name)], args)) === 1) return after
  }
}

function missing(name: ProjectName): SlipwayError {
  return new SlipwayError('not-found', `There is no project ${name}`)
}
