import type { Grant } from '#store/contract'
import { mayUseRepository } from '#store/grants'

/**
 * A query that asks to mount a blob of a repository the caller may not pull becomes a plain start of an upload, which
 * is what the spec lets a registry answer with.
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#mounting-a-blob-from-another-repository
 */
export function withoutForeignMount(query: string, grants: readonly Grant[]): string {
  const parameters = new URLSearchParams(query)
  const sources = parameters.getAll('from')
  if (!parameters.has('mount') && sources.length === 0) return query
  const mayPull = (source: string) => grants.some((grant) => mayUseRepository(grant, source, 'pull'))
  if (sources.length === 1 && sources.every(mayPull)) return query
  parameters.delete('mount')
  parameters.delete('from')
  return parameters.toString()
}
