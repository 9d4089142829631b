import { posix } from 'node:path'
import { SlipwayError } from '#domain/errors'
import { ExecError } from '#host/exec'
import { runGit } from '../context/git-objects.ts'

/** A submodule as the commit above it names it. */
export interface Submodule {
  /** In the tree of the commit, latin1-exact. */
  path: string
  url: string
  commit: string
}

/** The submodules of a commit, with their addresses made whole by that of the repository itself. */
export async function listSubmodules(
  { gitDir, commit, url }: { gitDir: string; commit: string; url: string },
  signal: AbortSignal,
): Promise<Submodule[]> {
  const links = await listLinks(gitDir, commit, signal)
  if (links.length === 0) return []
  const urls = await readUrls(gitDir, commit, signal)
  return links.map(({ path, id }) => {
    const named = urls.get(path)
    if (named === undefined)
      throw new SlipwayError('step-failed', `${url}: no url found for submodule path "${path}" in .gitmodules`)
    return { path, commit: id, url: resolveUrl(named, url) }
  })
}

async function listLinks(gitDir: string, commit: string, signal: AbortSignal): Promise<{ path: string; id: string }[]> {
  const { stdout } = await runGit({ gitDir, args: ['ls-tree', '-r', '-z', '--full-tree', commit], signal })
  return stdout
    .toString('latin1')
    .split('\0')
    .flatMap((record) => {
      const [, id, path] = /^160000 commit ([0-9a-f]+)\t(.+)$/s.exec(record) ?? []
      return id === undefined || path === undefined ? [] : [{ id, path }]
    })
}

/** Addresses by path, as `.gitmodules` has them. */
async function readUrls(gitDir: string, commit: string, signal: AbortSignal): Promise<Map<string, string>> {
  const args = ['config', '--null', '--blob', `${commit}:.gitmodules`, '--get-regexp', '^submodule\\..*\\.(path|url)$']
  const byName = new Map<string, { path?: string; url?: string }>()
  const stdout = await runGit({ gitDir, args, signal }).then(
    (result) => result.stdout.toString('latin1'),
    (error: unknown) => {
      if (error instanceof ExecError && !signal.aborted) return ''
      throw error
    },
  )
  for (const record of stdout.split('\0')) {
    const [, name, field, value] = /^submodule\.(.*)\.(path|url)\n(.*)$/s.exec(record) ?? []
    if (name === undefined || value === undefined) continue
    byName.set(name, { ...byName.get(name), [field === 'path' ? 'path' : 'url']: value })
  }
  return new Map([...byName.values()].flatMap(({ path, url }) => (path && url ? [[path, url] as const] : [])))
}

const REMOTE = /^(?:https?|git|ssh):\/\//i
const SCP = /^([\w-]+@[a-zA-Z0-9.-]+:)(.*)$/s

/** An address that starts with a dot is meant from the repository above. Nothing of this machine is an address. */
export function resolveUrl(named: string, parent: string): string {
  const whole = /^\.\.?(?:\/|$)/.test(named) ? resolveRelative(named, parent) : named
  if (REMOTE.test(whole) || SCP.test(whole)) return whole
  // Who may name a repository of this machine names all of its submodules with it.
  if (parent.startsWith('file://') && whole.startsWith('file://')) return whole
  const from = parent.startsWith('pushed:') ? 'a repository that was pushed here' : parent
  throw new SlipwayError('step-failed', `Submodule address "${named}" of ${from} is refused: expected http, ssh or git`)
}

function resolveRelative(named: string, parent: string): string {
  const scp = SCP.exec(parent)
  if (scp) return `${scp[1]}${posix.normalize(`${scp[2]}/${named}`)}`
  return new URL(named, `${parent.replace(/\/+$/, '')}/`).href
}
