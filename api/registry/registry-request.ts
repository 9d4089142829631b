/** What a request to `/v2/` is about. */
export type RegistryRequest =
  | { kind: 'base' }
  | { kind: 'catalog' }
  | { kind: 'repository'; name: string; part: 'manifest' | 'blob' | 'upload' | 'tags' | 'referrers' }

const NAME = String.raw`([a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)`
const DIGEST = '[a-z0-9]+(?:[+._-][a-z0-9]+)*:[A-Za-z0-9=_-]+'

// Anchored at both ends: what the distribution spec does not name is not passed on.
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints
const PATHS = [
  { part: 'manifest', path: new RegExp(`^/v2/${NAME}/manifests/(?:${DIGEST}|[A-Za-z0-9_][A-Za-z0-9._-]{0,127})$`) },
  { part: 'blob', path: new RegExp(`^/v2/${NAME}/blobs/${DIGEST}$`) },
  { part: 'upload', path: new RegExp(`^/v2/${NAME}/blobs/uploads/?(?:[A-Za-z0-9._=-]+)?$`) },
  { part: 'tags', path: new RegExp(`^/v2/${NAME}/tags/list$`) },
  { part: 'referrers', path: new RegExp(`^/v2/${NAME}/referrers/${DIGEST}$`) },
] as const

/** Reads the path of a request; null for what no registry serves. */
export function readRegistryPath(path: string): RegistryRequest | null {
  if (path === '/v2/' || path === '/v2') return { kind: 'base' }
  if (path === '/v2/_catalog') return { kind: 'catalog' }
  if (path.length > 1024) return null
  for (const { part, path: pattern } of PATHS) {
    const name = pattern.exec(path)?.[1]
    if (name !== undefined && name.length <= 255) return { kind: 'repository', name, part }
  }
  return null
}

export function isRepositoryName(text: string): boolean {
  return text.length <= 255 && new RegExp(`^${NAME}$`).test(text)
}
