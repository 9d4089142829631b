import type { ContextEntry } from './contract.ts'
import { areRelevant, attributeFiles, type Conversions, NO_CONVERSIONS, readConversions } from './git-attributes.ts'
import type { GitCheckout } from './git-checkout.ts'
import { checkObjects, listTree, nameTree, type TreePlace, type TreeRecord } from './git-objects.ts'

/** A directory of a commit, listed. It is the same for every commit that has the same one. */
export interface GitListing {
  entries: readonly ContextEntry[]
  /** By path, with the ids of blobs as they are in the repository. */
  records: ReadonlyMap<string, TreeRecord>
  conversions: Conversions
  /** What was worked out from the entries, for builds to come. */
  remembered: Map<string, unknown>
}

/** Lists a directory; `openCheckout` is asked for where attributes have to be worked out by git. */
export async function listGit(
  place: TreePlace,
  openCheckout: () => Promise<GitCheckout>,
  signal: AbortSignal,
): Promise<GitListing> {
  const records = await listTree(place, signal)
  const conversions = await convert(place, records, openCheckout, signal)
  const entries = records.map(({ entry, id }) => {
    const words = conversions.words.get(entry.path)
    return words === undefined ? entry : { ...entry, contentId: `git:${id} ${words}` }
  })
  const byPath = new Map(records.map((record) => [record.entry.path, record]))
  return { entries, records: byPath, conversions, remembered: new Map() }
}

async function convert(
  place: TreePlace,
  records: readonly TreeRecord[],
  ...[openCheckout, signal]: [() => Promise<GitCheckout>, AbortSignal]
): Promise<Conversions> {
  if (!(await areRelevant(place.gitDir, attributeFiles(place, records), signal))) return NO_CONVERSIONS
  const { env, gitDir } = await openCheckout()
  const parts = place.subdirectory.split('/').filter(Boolean)
  const prefix = Buffer.from(parts.map((part) => `${part}/`).join(''), 'utf8').toString('latin1')
  return await readConversions({ gitDir, env, prefix }, records, signal)
}

/** Listings that are kept for builds to come. */
export interface GitListings {
  /** The listing of a directory, or what `list` makes of it. */
  get(place: TreePlace, list: () => Promise<GitListing>, signal: AbortSignal): Promise<GitListing>
}

/** Of all listings together, which is about 30 MB. */
const MAX_ENTRIES = 50_000
const MAX_LISTINGS = 100

export function createGitListings(): GitListings {
  const kept = new Map<string, GitListing>()
  let total = 0
  const drop = (name: string): void => {
    total -= kept.get(name)?.entries.length ?? 0
    kept.delete(name)
  }
  const keep = (name: string, listing: GitListing): void => {
    drop(name)
    kept.set(name, listing)
    total += listing.entries.length
    // The one that was not asked for the longest time stands first.
    for (const oldest of kept.keys()) {
      if (total <= MAX_ENTRIES && kept.size <= MAX_LISTINGS) return
      drop(oldest)
    }
  }
  return {
    async get(place, list, signal) {
      const attributes = attributeFiles(place, [])
      const ids = await checkObjects(place.gitDir, [nameTree(place), ...attributes], signal)
      const name = JSON.stringify([place.gitDir, ids.map((found) => found?.id ?? null)])
      const listing = (ids[0]?.type === 'tree' ? kept.get(name) : undefined) ?? (await list())
      keep(name, listing)
      return listing
    },
  }
}
