import { createGitShared, openPushedContext, type SharedWork } from '#buildkit-lite'
import { parseGitUrl } from './git-url.ts'
import type { OpenContext } from './run-build.ts'

interface Places {
  /** Files that steps read are written below it, as long as a build is running. */
  checkoutRoot: string
  /** Submodules are kept below it. */
  stateDir: string
  sharedWork: SharedWork
}

/**
 * Opens contexts of commits that are here, with their submodules. Those on the host of the project's own repository are
 * fetched with its credentials, and may be in a private network as it may; others come from public places only.
 */
export function contextOpener({ checkoutRoot, stateDir, sharedWork }: Places): OpenContext {
  const shared = createGitShared()
  const tools = { stateDir, sharedWork, access: { allowPrivate: false }, sshAgent: null }
  return async ({ project = '', repository = null, ...source }, signal) => {
    const remote = repository === null ? null : parseGitUrl(repository)
    const authorization = remote?.credentials ? basic(remote.credentials) : null
    const from = { url: remote?.url ?? null, authorization, scope: `project ${project}`, tools }
    return await openPushedContext({ ...source, checkoutRoot, shared }, from, signal)
  }
}

function basic({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}
