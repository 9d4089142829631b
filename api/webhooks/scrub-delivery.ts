import type { IncomingHttpHeaders } from 'node:http'
import type { ProjectSecrets } from '#store/contract'

const REMOVED = '[removed]'
const SECRET_HEADER = /token|signature|authorization|cookie|secret|password/
/** Old Gitea bodies, and GitHub's ping, carry the hook's secret in clear text. */
const SECRET_FIELD = /("(?:secret|token|password|access_token)"\s*:\s*)"(?:[^"\\]|\\.)*"/gi
const MAX_HEADER_CHARS = 1024
/** More of a body than this is not kept. */
export const MAX_STORED_BODY_BYTES = 256 * 1024

/** The headers as they may be stored: that a secret was sent is shown, not what it was. */
export function scrubHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const scrubbed: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined) continue
    const text = Array.isArray(value) ? value.join(', ') : value
    scrubbed[name] = SECRET_HEADER.test(name) ? REMOVED : text.slice(0, MAX_HEADER_CHARS)
  }
  return scrubbed
}

/** The body as it may be stored, cut at `MAX_STORED_BODY_BYTES`. The same body gives the same text. */
export function scrubBody(body: Buffer, secrets: ProjectSecrets): string {
  let text = body.toString('utf8')
  for (const secret of [secrets.webhookSecret, secrets.webhookSigningToken])
    if (secret) text = text.replaceAll(secret, REMOVED)
  const scrubbed = Buffer.from(text.replace(SECRET_FIELD, `$1"${REMOVED}"`))
  return scrubbed.subarray(0, MAX_STORED_BODY_BYTES).toString('utf8')
}
