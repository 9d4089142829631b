import { cleanPath } from './beneath.ts'
import type { Exclusion, FileTree } from './file-tree.ts'
import { type Selected, selectPaths } from './select-paths.ts'
import { selectWithParents } from './select-with-parents.ts'

export { MissingSourceError, type Selected } from './select-paths.ts'

export interface SelectOptions {
  parents: boolean
  exclusion: Exclusion
}

/** Finds what one source of a COPY names. A literal path that is not there fails with kind `context-invalid`. */
export function selectSource(tree: FileTree, source: string, options: SelectOptions): readonly Selected[] {
  if (options.parents) return selectWithParents(tree, source, options.exclusion)
  return selectPaths(tree, cleanPath(source))
}
