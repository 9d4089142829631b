import type { Grant } from './contract.ts'

/** Whether a grant allows an action on a repository of our registry. */
export function mayUseRepository(grant: Grant, repository: string, action: 'pull' | 'push'): boolean {
  if (grant.kind === 'admin') return true
  if (grant.actions.includes(action) && matches(grant.repository, repository)) return true
  return action === 'pull' && (grant.alsoPull ?? []).some((pattern) => matches(pattern, repository))
}

function matches(pattern: string, repository: string): boolean {
  if (pattern === '*') return true
  return pattern.endsWith('/*') ? repository.startsWith(pattern.slice(0, -1)) : pattern === repository
}
