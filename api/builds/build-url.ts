import type { BuildId } from '#domain/ids'

/** Where a person watches a build. */
export function buildUrl(baseUrl: string, id: BuildId): string {
  return `${baseUrl}/builds/${id}`
}
