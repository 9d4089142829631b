import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeFileAtomic } from '#host/files'

/**
 * Writes the directory of our hooks, which git is pointed to for every push: a repository cannot bring its own. The
 * script finds `-o nowait` among the push options and hands over to `post-receive.ts`.
 */
export async function writeHooks(dataDir: string): Promise<string> {
  const dir = join(dataDir, 'git', 'hooks')
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const program = fileURLToPath(import.meta.resolve('./post-receive.ts'))
  await writeFileAtomic(join(dir, 'post-receive'), script(process.execPath, program), 0o755)
  return dir
}

function script(node: string, program: string): string {
  return `#!/bin/sh
# Written by Slipway at its start; changes are lost.
mode=wait
i=0
while [ "$i" -lt "\${GIT_PUSH_OPTION_COUNT:-0}" ]; do
  eval "option=\\$GIT_PUSH_OPTION_$i"
  if [ "$option" = nowait ]; then mode=nowait; fi
  i=$((i + 1))
done
exec ${quoted(node)} ${quoted(program)} "$SLIPWAY_PUSH_SOCKET" "$SLIPWAY_PUSH" "$mode"
`
}

/** A word that a POSIX shell takes literally. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}
