import { createHmac, timingSafeEqual } from 'node:crypto'
import { readGithubPush } from './github.ts'
import { type HookProvider, header, NO_SECRET } from './provider.ts'

/** Gitea and its relatives differ in the prefix of their headers only. They also send GitHub's, so they are asked first. */
function giteaLike(name: 'gitea' | 'forgejo' | 'gogs'): HookProvider {
  return {
    name,
    acceptsForms: false,
    event: (headers) => header(headers, `x-${name}-event`) ?? 'unknown',
    externalId: (headers) => header(headers, `x-${name}-delivery`),
    async refuse(body, headers, secrets) {
      if (!secrets.webhookSecret) return NO_SECRET
      // Without a secret the header is there and empty.
      const signature = header(headers, `x-${name}-signature`)
      if (!signature) return `the X-${name}-Signature header is missing or empty`
      if (!/^[0-9a-f]{64}$/.test(signature)) return `X-${name}-Signature is not 64 lower-case hex digits`
      const expected = createHmac('sha256', secrets.webhookSecret).update(body).digest()
      const isGood = timingSafeEqual(expected, Buffer.from(signature, 'hex'))
      return isGood ? null : 'the signature does not match the body and the configured secret'
    },
    read(event, payload) {
      // A tag comes as `create` and as `push`; one of them is enough.
      if (event !== 'push') return { kind: 'ignored', reason: `event "${event}" makes no build` }
      return readGithubPush(payload)
    },
  }
}

export const gitea = giteaLike('gitea')
export const forgejo = giteaLike('forgejo')
export const gogs = giteaLike('gogs')
