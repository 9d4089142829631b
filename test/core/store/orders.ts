import type { BuildOrder } from '#domain/build'
import { BuildId, type ProjectName, WorkerId } from '#domain/ids'
import { defaultRules, Project } from '#domain/project'
import { newId } from '#host/new-id'

export const noSecrets = { webhookSecret: null, webhookSigningToken: null }

export function projectOf(name: string): Project {
  return Project.parse({ name, rules: defaultRules('main'), createdAtMs: 1 })
}

export function workerId(): WorkerId {
  return WorkerId.parse(newId('wrk'))
}

/** An order as a push to main makes it. */
export function orderOf(project: ProjectName, change: Partial<BuildOrder> = {}): Omit<BuildOrder, 'number'> {
  return {
    id: BuildId.parse(newId('bld')),
    project,
    trigger: 'push',
    ref: 'refs/heads/main',
    commit: 'a'.repeat(40) as BuildOrder['commit'],
    message: 'Change "number":0 of things',
    author: null,
    rule: 0,
    tags: ['latest'],
    dockerfile: 'Dockerfile',
    context: '/',
    target: null,
    buildArgs: {},
    useCache: true,
    push: true,
    deploy: [],
    ...change,
  }
}
