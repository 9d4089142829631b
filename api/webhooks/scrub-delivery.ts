import type { IncomingHttpHeaders } from 'node:http'
import type { ProjectSecrets } from '#store/contract'

const REMOVED = '[removed]'
const SECRET_HEADER = /token|signature|authorization|cookie|secret|password/
/** Old Gitea bodies, and GitHub's ping, carry the hook's secret in clear text. */
const SECRET_FIELD = /("(?:secret|token|password|access_token)"\s*:\s*)"(?:[^"\\]|\\.)*"/gi
/** The same within a form. */
const SECRET_FORM_FIELD =
  /(%22(?:secret|token|password|access_token)%22(?:%20|\+)*(?:%3A|:)(?:%20|\+)*)%22(?:(?!%22|&)(?:%5C%22|.))*%22/gi
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
export function scrubBody({ body }: { body: Buffer }, secrets: ProjectSecrets): string {
  // The secrets are looked for in a little more than is kept, so that none is cut in two.
  let text = body.subarray(0, 2 * MAX_STORED_BODY_BYTES).toString('utf8')
  for (const secret of [secrets.webhookSecret, secrets.webhookSigningToken])
    for (const form of secret ? formsOf(secret) : []) text = text.replaceAll(form, REMOVED)
  const scrubbed = text.replace(SECRET_FIELD, `$1"${REMOVED}"`).replace(SECRET_FORM_FIELD, `$1%22${REMOVED}%22`)
  return Buffer.from(scrubbed).subarray(0, MAX_STORED_BODY_BYTES).toString('utf8')
}

/** A secret as it is, within JSON, and within a form. */
function formsOf(secret: string): Set<string> {
  const json = JSON.stringify(secret).slice(1, -1)
  const form = new URLSearchParams([['', json]]).toString().slice(1)
  return new Set([secret, json, encodeURIComponent(json), form])
}
