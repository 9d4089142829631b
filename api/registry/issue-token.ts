import type { Grant, Store } from '#store/contract'
import { allowedScopes, type Scope } from './access.ts'

export const TOKEN_TTL_S = 900

/** A short-lived token for what is asked, as far as it is allowed: one grant for each repository, joined by dots. */
export async function issueRegistryToken(
  store: Store,
  grants: readonly Grant[],
  asked: readonly Scope[],
): Promise<string> {
  const scopes = await allowedScopes(store, grants, asked)
  // A token for nothing still says that its bearer could sign in.
  const wanted = scopes.length > 0 ? scopes : [{ repository: '-', actions: [] }]
  const tokens = wanted.map(({ repository, actions }) =>
    store.tokens.issue({ kind: 'registry', repository, actions }, 'registry session', TOKEN_TTL_S * 1000),
  )
  return (await Promise.all(tokens)).join('.')
}
