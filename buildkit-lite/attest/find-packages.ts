import { createPause } from '../solver/copy-task.ts'
import { NO_EXCLUSION, treeOnDisk, walk } from '../solver/file-tree.ts'
import { readLanguagePackage } from './language-packages.ts'
import type { FoundPackage } from './package.ts'
import { readApk, readDistribution, readDpkg } from './system-packages.ts'

/** More files than any image has that is meant to be run; a bound for those that are not. */
const MAX_FILES = 5_000_000
const MAX_PACKAGES = 100_000

/** The packages in a root file system, each once, by its databases and by what installed packages say of themselves. */
export async function findPackages(root: string, signal: AbortSignal): Promise<FoundPackage[]> {
  const distribution = readDistribution(root)
  const found = new Map<string, FoundPackage>()
  const add = (one: FoundPackage): void => {
    if (!found.has(one.purl) && found.size < MAX_PACKAGES) found.set(one.purl, one)
  }
  for (const one of [...readDpkg(root, distribution), ...readApk(root, distribution)]) add(one)
  const pause = createPause(signal)
  let files = 0
  for (const { path, entry } of walk(treeOnDisk(root), '/', NO_EXCLUSION)) {
    await pause()
    if (++files > MAX_FILES) break
    const one = entry.kind === 'file' ? readLanguagePackage(root, path) : null
    if (one) add(one)
  }
  return [...found.values()].toSorted((a, b) => (a.purl < b.purl ? -1 : 1))
}
