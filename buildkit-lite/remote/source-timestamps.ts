import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { extract } from 'tar-stream'
import { readCommitTime } from '../context/git-objects.ts'
import type { BuildRequest, BuildTools } from '../contract.ts'
import type { SourceTimestamps } from '../plan/plan-input.ts'
import { openArchive } from '../solver/detect-archive.ts'
import { download } from './download.ts'
import { resolveGitCommit } from './git-checksum.ts'
import { fetchCommit } from './git-remote.ts'
import { gitAuthorization, httpAuthorization } from './remote-secrets.ts'
import type { RemoteCopySource } from './remote-sources.ts'

type Request = Pick<BuildRequest, 'cacheScope' | 'secrets' | 'run' | 'context' | 'namedContexts'>
type Tools = Pick<BuildTools, 'stateDir' | 'sharedWork' | 'remote'>

/** When the sources of a build were made, in Unix seconds. Without `tools` nothing is fetched to find it out. */
export function createSourceTimestamps(request: Request, tools: Tools | null): SourceTimestamps {
  return {
    ofContext: (name) => {
      if (name === null) return request.context.timestamp ?? null
      const named = request.namedContexts[name]
      return named?.kind === 'context' ? (named.context.timestamp ?? null) : null
    },
    ofRemote: async (source, signal) => (tools === null ? null : await timestampOf(source, { request, tools }, signal)),
  }
}

async function timestampOf(
  source: RemoteCopySource,
  { request, tools }: { request: Request; tools: Tools },
  signal: AbortSignal,
): Promise<number | null> {
  const { url, checksum } = source
  const { cacheScope: scope, secrets, run } = request
  const access = tools.remote ?? { allowPrivate: false }
  if (source.kind === 'http') {
    const asked = { url, checksum, scope, authorization: httpAuthorization(secrets, url) }
    const { path, modifiedAtMs } = await download(asked, { ...tools, access }, signal)
    return modifiedAtMs === 0 ? await newestIn(path) : Math.floor(modifiedAtMs / 1000)
  }
  const gitTools = { ...tools, access, sshAgent: run.sshAgents['default'] ?? null }
  const asked = { url, ref: source.ref, checksum, scope, authorization: gitAuthorization(secrets, url) }
  const commit = await resolveGitCommit(asked, gitTools, signal)
  const gitDir = await fetchCommit({ ...asked, commit }, gitTools, signal)
  return await readCommitTime({ gitDir, commit, subdirectory: '/' }, signal)
}

/** The time of an archive's newest file; null for what is no archive. */
async function newestIn(path: string): Promise<number | null> {
  await using file = await open(path)
  const archive = await openArchive(file.fd)
  return archive === null ? null : await newestMember(archive)
}

async function newestMember(archive: Readable): Promise<number | null> {
  const members = extract()
  archive.on('error', (error) => members.destroy(error))
  archive.pipe(members)
  let newestMs: number | null = null
  try {
    for await (const member of members) {
      const { type, mtime } = member.header
      if (type === 'file' && mtime) newestMs = Math.max(newestMs ?? 0, mtime.getTime())
      member.resume()
    }
  } catch {
    // What cannot be read to its end says nothing.
    return null
  } finally {
    archive.destroy()
  }
  return newestMs === null ? null : Math.floor(newestMs / 1000)
}
