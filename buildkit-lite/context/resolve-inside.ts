/** What a resolver has to know of a path: where a symlink points; everything else ends the walk. */
export interface PathLookup {
  (path: string): { kind: string; linkTarget: string | null } | null
}

const MAX_LINKS = 255

/**
 * Where a relative path leads when symlinks are followed without ever leaving the root: absolute targets and `..`
 * start from it. Null where nothing is there. All paths are latin1-exact and relative; `''` is the root.
 */
export function resolveInside(lookUp: PathLookup, path: string): string | null {
  const open = path.split('/').toReversed()
  const done: string[] = []
  let links = 0
  for (let part = open.pop(); part !== undefined; part = open.pop()) {
    if (part === '' || part === '.') continue
    if (part === '..') {
      done.pop()
      continue
    }
    const found = lookUp([...done, part].join('/'))
    if (!found) return null
    if (found.kind !== 'symlink' || found.linkTarget === null) {
      done.push(part)
      continue
    }
    if (++links > MAX_LINKS) return null
    if (found.linkTarget.startsWith('/')) done.length = 0
    open.push(...found.linkTarget.split('/').toReversed())
  }
  return done.join('/')
}
