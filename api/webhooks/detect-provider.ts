import type { IncomingHttpHeaders } from 'node:http'
import type { Provider } from '#domain/delivery'
import { bitbucket } from './bitbucket.ts'
import { generic } from './generic.ts'
import { forgejo, gitea, gogs } from './gitea.ts'
import { github } from './github.ts'
import { gitlab } from './gitlab.ts'
import type { HookProvider } from './provider.ts'
import { registry } from './registry.ts'

/** Tells the sender by its headers. The order matters: Forgejo also sends Gitea's, and all of them send GitHub's. */
export function detectProvider(headers: IncomingHttpHeaders): Provider {
  if ('x-forgejo-event' in headers) return 'forgejo'
  if ('x-gitea-event' in headers) return 'gitea'
  if ('x-gogs-event' in headers) return 'gogs'
  if ('x-github-event' in headers) return 'github'
  if ('x-gitlab-event' in headers) return 'gitlab'
  if ('x-event-key' in headers) return 'bitbucket'
  if (headers['content-type']?.toLowerCase().startsWith('application/vnd.docker.distribution.events.'))
    return 'registry'
  return 'generic'
}

/** How a provider's requests are handled; null where they are not supported. */
export function providerNamed(name: Provider): HookProvider | null {
  return (
    [github, gitlab, gitea, forgejo, gogs, bitbucket, registry, generic].find((provider) => provider.name === name) ??
    null
  )
}
