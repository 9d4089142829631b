import { z } from 'zod'
import { run } from '#host/exec'
import { removalText } from './ruleset.ts'

/** What an owner calls its interfaces and its table. */
export interface NetworkNames {
  readonly linkPrefix: string
  readonly nftTable: string
}

/** Removes the interfaces and the table of an owner, found by their names. */
export async function removeNetworkOf(scope: NetworkNames): Promise<void> {
  const { stdout } = await run('ip', ['-j', 'link', 'show'])
  const links = z.array(z.object({ ifname: z.string().optional() })).parse(JSON.parse(stdout.toString() || '[]'))
  const ours = links.flatMap(({ ifname }) => (ifname?.startsWith(scope.linkPrefix) ? [ifname] : []))
  await removeLinks(ours)
  await run('nft', ['-f', '-'], { input: removalText(scope.nftTable) })
}

/** Removes interfaces of the host with their other ends; one that is gone already is no error. */
export async function removeLinks(names: readonly string[]): Promise<void> {
  if (names.length === 0) return
  const input = names.map((name) => `link del dev ${name}\n`).join('')
  // Exit code 1 of a forced batch: some command failed, which here means that the interface went by itself.
  await run('ip', ['-force', '-batch', '-'], { input, okCodes: [0, 1] })
}
