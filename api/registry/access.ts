import { ProjectName } from '#domain/ids'
import type { Grant, Store } from '#store/contract'
import { mayUseRepository } from '#store/grants'
import { credentialsOf } from '../authenticate.ts'
import { isRepositoryName, type RegistryRequest } from './registry-request.ts'

type Action = 'pull' | 'push'

/** The right to act on one repository, as docker's token protocol names it. */
export interface Scope {
  repository: string
  actions: readonly Action[]
}

/** What a request to the registry needs. */
export type Need = { kind: 'any-token' } | { kind: 'admin' } | ({ kind: 'scope' } & Scope)

const MAX_SCOPES = 16

/** The grants of whoever asks: a token of ours may be several, joined by dots. Cookies do not count here. */
export async function grantsOf(store: Store, authorization: string | undefined): Promise<Grant[]> {
  const token = authorization === undefined ? null : credentialsOf(authorization)?.token
  if (!token || token.length > 4096) return []
  const grants = await Promise.all(
    token
      .split('.')
      .slice(0, MAX_SCOPES)
      .map((part) => store.tokens.check(part)),
  )
  return grants.filter((grant) => grant !== null)
}

export function needOf(request: RegistryRequest, method: string): Need {
  if (request.kind === 'base') return { kind: 'any-token' }
  if (request.kind === 'catalog') return { kind: 'admin' }
  const repository = request.name
  if (method === 'GET' || method === 'HEAD') {
    // The state of an upload is for those who upload.
    return { kind: 'scope', repository, actions: request.part === 'upload' ? ['pull', 'push'] : ['pull'] }
  }
  // Only an unfinished upload may be taken back by who pushes.
  if (method === 'DELETE' && request.part !== 'upload') return { kind: 'admin' }
  return { kind: 'scope', repository, actions: ['pull', 'push'] }
}

export function isEnough(grants: readonly Grant[], need: Need): boolean {
  if (need.kind === 'any-token') return grants.length > 0
  if (need.kind === 'admin') return grants.some((grant) => grant.kind === 'admin')
  const decisive = need.actions.includes('push') ? 'push' : 'pull'
  return grants.some((grant) => mayUseRepository(grant, need.repository, decisive))
}

/** Of what is asked, what these grants, or a project's being public, allow. */
export async function allowedScopes(store: Store, grants: readonly Grant[], asked: readonly Scope[]): Promise<Scope[]> {
  const allowed = asked.slice(0, MAX_SCOPES).map(async ({ repository, actions }): Promise<Scope> => {
    const isPublic = await isPublicProject(store, repository)
    const may = (action: Action) =>
      (action === 'pull' && isPublic) || grants.some((grant) => mayUseRepository(grant, repository, action))
    return { repository, actions: actions.filter(may) }
  })
  return (await Promise.all(allowed)).filter(({ actions }) => actions.length > 0)
}

async function isPublicProject(store: Store, repository: string): Promise<boolean> {
  const name = ProjectName.safeParse(repository)
  return name.success && (await store.projects.get(name.data))?.visibility === 'public'
}

/** `repository:acme/web:pull,push`; null for anything else. https://distribution.github.io/distribution/spec/auth/scope/ */
export function parseScope(text: string): Scope | null {
  const [, repository = '', names = ''] = /^repository:([^:]+):([a-z*,]+)$/.exec(text) ?? []
  if (!isRepositoryName(repository)) return null
  const actions = (['pull', 'push'] as const).filter((action) =>
    names.split(',').some((n) => n === action || n === '*'),
  )
  return { repository, actions }
}

export function formatScope({ repository, actions }: Scope): string {
  return `repository:${repository}:${actions.join(',')}`
}

/** Anybody who has any token, or none, may pull a public project's image. */
export async function mayPullPublic(store: Store, need: Need): Promise<boolean> {
  return need.kind === 'scope' && !need.actions.includes('push') && (await isPublicProject(store, need.repository))
}
