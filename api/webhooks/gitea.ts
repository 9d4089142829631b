import type { IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'
import { RefName } from '#domain/push'
import { readGithubPush } from './github.ts'
import { readGithubPullRequest } from './github-pull-request.ts'
import { GithubRepository, namedBy } from './github-repository.ts'
import { header } from './header.ts'
import { type HookEvent, type HookProvider, ignored } from './provider.ts'
import { formPayload } from './read-payload.ts'
import { refuseHmac } from './signatures.ts'

const Deletion = z.object({
  ref: z.string().max(1024),
  ref_type: z.enum(['branch', 'tag']),
  repository: GithubRepository,
})

/** Gitea and its relatives differ in the prefix of their headers only. They also send GitHub's, so they are asked first. */
function giteaLike(name: 'gitea' | 'forgejo' | 'gogs', title: string): HookProvider {
  return {
    name,
    acceptsForms: true,
    event: (headers) => header(headers, `x-${name}-event`) ?? 'unknown',
    externalId: (headers) => header(headers, `x-${name}-delivery`),
    // Without a secret the header is there and empty.
    refuse: (body, headers, { webhookSecret }) =>
      refuseHmac({ headerName: `X-${title}-Signature`, prefix: '' }, headers, signedPart(body, headers), webhookSecret),
    read(event, payload) {
      if (event === 'ping') return { kind: 'answered', reason: 'ping' }
      if (event === 'push') return readGithubPush(payload)
      if (event === 'delete') return readDeletion(payload)
      if (event.startsWith('pull_request'))
        return name === 'gogs'
          ? { kind: 'ignored', reason: 'Gogs does not say which commit a pull request has' }
          : readGithubPullRequest(payload)
      // A tag comes as `create` and as `push`; one of them is enough.
      if (event === 'create') return { kind: 'ignored', reason: 'event "create" says what the push event says already' }
      return ignored(event)
    },
  }
}

export const gitea = giteaLike('gitea', 'Gitea')
export const forgejo = giteaLike('forgejo', 'Forgejo')
export const gogs = giteaLike('gogs', 'Gogs')

/** Of a form they sign the JSON in it, where GitHub signs the form. */
function signedPart(body: Buffer, headers: IncomingHttpHeaders): Buffer {
  if (!headers['content-type']?.toLowerCase().startsWith('application/x-www-form-urlencoded')) return body
  const payload = formPayload(body)
  return payload.ok ? Buffer.from(payload.text) : Buffer.alloc(0)
}

/** No push event tells of a deletion, and the name is a short one. */
function readDeletion(payload: unknown): HookEvent {
  const { ref, ref_type, repository } = Deletion.parse(payload)
  const prefix = ref_type === 'tag' ? 'refs/tags/' : 'refs/heads/'
  const push = {
    ref: RefName.parse(ref.startsWith(prefix) ? ref : `${prefix}${ref}`),
    commit: null,
    before: null,
    repository: repository.clone_url,
    defaultBranch: repository.default_branch ?? null,
    pusher: null,
    message: null,
  }
  return { kind: 'pushes', pushes: [{ push, changedPaths: null }], repository: namedBy(repository) }
}
