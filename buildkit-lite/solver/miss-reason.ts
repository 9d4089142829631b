import type { KeyComponent } from '../contract.ts'

/** Names of components that are no words of the Dockerfile, and the prefix of those that are files. */
export const INPUT_FILE = 'file '
export const PARENT = 'parent'
export const BASE = 'base image'

/** Why a step was not in the cache: the newest components of the same instruction against those of now. */
export function missReason(now: readonly KeyComponent[], before: readonly KeyComponent[] | null): string {
  if (!before) return 'not built before'
  const old = new Map(before.map((component) => [component.name, component.digest]))
  const changed = now.filter((component) => old.get(component.name) !== component.digest).map((one) => one.name)
  const present = new Set(now.map((component) => component.name))
  const removed = before.filter((component) => !present.has(component.name)).map((one) => one.name)
  // What the author wrote comes before what merely follows from an earlier change.
  const own = changed.find((name) => ![PARENT, BASE].includes(name) && !name.startsWith(INPUT_FILE))
  if (own) return `${own} changed`
  const files = [...changed, ...removed].filter((name) => name.startsWith(INPUT_FILE))
  if (files.length > 0) return `COPY input changed: ${namesOf(files)}`
  if (changed.includes(BASE)) return 'base image changed'
  if (changed.includes(PARENT)) return 'an earlier step changed'
  return removed[0] ? `${removed[0]} was removed` : 'its result is no longer stored'
}

function namesOf(components: readonly string[]): string {
  const names = [...new Set(components.map((name) => name.slice(INPUT_FILE.length)))].sort()
  const more = names.length - 3
  return `${names.slice(0, 3).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}
