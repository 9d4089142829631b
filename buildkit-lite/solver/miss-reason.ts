import type { KeyComponent } from '../contract.ts'

/** Names of components that are no words of the Dockerfile, and the prefixes of those that are one of many. */
export const INPUT_FILE = 'file '
export const PARENT = 'parent'
export const BASE = 'FROM '
export const ORDER = 'order of '

interface Change {
  name: string
  how: 'changed' | 'was added' | 'was removed'
}

const MAX_FILES = 3

/** Why a step was not in the cache: the newest components of the same instruction against those of now. */
export function missReason(now: readonly KeyComponent[], before: readonly KeyComponent[] | null): string {
  if (!before) return 'not built before'
  const changes = changesOf(now, before)
  // What the author wrote comes before what merely follows from an earlier change.
  const own = changes.find(({ name }) => !isFile(name) && ![PARENT, BASE, ORDER].some((word) => name.startsWith(word)))
  if (own) return `${own.name} ${own.how}`
  const files = changes.filter(({ name }) => isFile(name))
  if (files.length > 0) return filesReason(files)
  const order = changes.find(({ name }) => name.startsWith(ORDER))
  if (order) return `the ${order.name} changed`
  const base = changes.find(({ name }) => name.startsWith(BASE))
  if (base) return baseReason(base, changes)
  return changes.length > 0 ? 'an earlier step changed' : 'its result is no longer stored'
}

function isFile(name: string): boolean {
  return name.startsWith(INPUT_FILE)
}

/** A name may stand for several components, as where two directories with a file of that name are copied. */
function changesOf(now: readonly KeyComponent[], before: readonly KeyComponent[]): Change[] {
  const [present, old] = [digestsByName(now), digestsByName(before)]
  const changes: Change[] = []
  for (const [name, digests] of present) {
    const earlier = old.get(name)
    if (earlier !== digests) changes.push({ name, how: earlier === undefined ? 'was added' : 'changed' })
  }
  for (const name of old.keys()) if (!present.has(name)) changes.push({ name, how: 'was removed' })
  return changes
}

function digestsByName(components: readonly KeyComponent[]): Map<string, string> {
  const digests = new Map<string, string>()
  for (const { name, digest } of components) digests.set(name, `${digests.get(name) ?? ''} ${digest}`)
  return digests
}

function filesReason(files: readonly Change[]): string {
  const names = files.map(({ name }) => name.slice(INPUT_FILE.length) || '.').sort()
  const [first] = files
  const how = first && files.every((one) => one.how === first.how) ? first.how : 'changed'
  const more = names.length - MAX_FILES
  const listed = `${names.slice(0, MAX_FILES).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
  return `${listed} ${names.length > 1 ? how.replace('was', 'were') : how}`
}

function baseReason(base: Change, changes: readonly Change[]): string {
  if (base.how === 'changed') return `${base.name} has another digest`
  const earlier = changes.find(({ name, how }) => name.startsWith(BASE) && how === 'was removed')
  return earlier && earlier !== base ? `${base.name} instead of ${earlier.name.slice(BASE.length)}` : 'FROM changed'
}
