import { isUtf8 } from 'node:buffer'
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { Webhooks } from '@octokit/webhooks'
import { Webhook } from 'standardwebhooks'
import { credentialsOf } from '../authenticate.ts'
import { header } from './header.ts'

/** A signed time may be this far from ours, before or after it. */
const REPLAY_WINDOW_MS = 5 * 60 * 1000

export const NO_SECRET = 'no webhook secret is configured for this project, so nothing can be trusted'
const MISMATCH = 'the signature does not match the body and the configured secret'

export interface HexSignature {
  /** The header's name as its sender writes it. */
  headerName: string
  /** What stands before the digits: `sha256=`, or nothing. */
  prefix: string
}

/** Why the HMAC-SHA256 of the body's raw bytes is not the one in the header; null if it is. */
export function refuseHmac(
  signature: HexSignature,
  headers: IncomingHttpHeaders,
  body: Buffer,
  secret: string | null,
): string | null {
  if (!secret) return NO_SECRET
  const { digits, mistake } = readDigits(signature, headers, body)
  if (mistake !== null) return mistake
  const expected = createHmac('sha256', secret).update(body).digest()
  return timingSafeEqual(expected, Buffer.from(digits, 'hex')) ? null : MISMATCH
}

const GITHUB = { headerName: 'X-Hub-Signature-256', prefix: 'sha256=' }

/** The same by GitHub's own library, which takes text: bytes that are none are refused, so that none are replaced. */
export async function refuseGithub(
  headers: IncomingHttpHeaders,
  body: Buffer,
  secret: string | null,
): Promise<string | null> {
  if (!secret) return NO_SECRET
  const { digits, mistake } = readDigits(GITHUB, headers, body)
  if (mistake !== null) return mistake
  if (!isUtf8(body)) return 'the body is not UTF-8'
  return (await new Webhooks({ secret }).verify(body.toString('utf8'), `${GITHUB.prefix}${digits}`)) ? null : MISMATCH
}

function readDigits(
  { headerName, prefix }: HexSignature,
  headers: IncomingHttpHeaders,
  body: Buffer,
): { digits: string; mistake: string | null } {
  const signature = header(headers, headerName.toLowerCase())
  const digits = signature?.startsWith(prefix) ? signature.slice(prefix.length) : ''
  const mistake = (): string | null => {
    if (!signature) return `the ${headerName} header is missing or empty`
    if (!/^[0-9a-f]{64}$/.test(digits))
      return `${headerName} is not ${prefix && `${prefix} and `}64 lower-case hex digits`
    return body.length === 0 ? 'the body is empty' : null
  }
  return { digits, mistake: mistake() }
}

/**
 * Why a request is not signed as Standard Webhooks say (GitLab's signing tokens are the same); null if it is.
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export function refuseStandard(headers: IncomingHttpHeaders, body: Buffer, token: string): string | null {
  const [id, timestamp, signatures] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) =>
    header(headers, name),
  )
  for (const [name, value] of Object.entries({ id, timestamp, signature: signatures }))
    if (!value) return `the webhook-${name} header is missing or empty`
  if (!/^\d{1,12}$/.test(timestamp ?? '')) return 'webhook-timestamp is no time in seconds'
  if (Math.abs(Number(timestamp) * 1000 - Date.now()) > REPLAY_WINDOW_MS)
    return `webhook-timestamp is more than ${REPLAY_WINDOW_MS / 60_000} minutes away from now`
  if (!isUtf8(body)) return 'the body is not UTF-8'
  const signed = { 'webhook-id': id ?? '', 'webhook-timestamp': timestamp ?? '', 'webhook-signature': signatures ?? '' }
  try {
    new Webhook(token).verify(body, signed, { jsonParse: false })
    return null
  } catch {
    return MISMATCH
  }
}

/** Why the Authorization header does not show the secret, as a bearer token, as a password, or bare; null if it does. */
export function refuseAuthorization(headers: IncomingHttpHeaders, secret: string | null): string | null {
  if (!secret) return NO_SECRET
  const authorization = header(headers, 'authorization')
  if (!authorization) return 'the Authorization header is missing'
  const shown = credentialsOf(authorization)?.token ?? authorization.replace(/^bearer +/i, '')
  return isSameSecret(shown, secret) ? null : 'the Authorization header is wrong'
}

/** Whether two secrets are the same. Hashes have one length, so that the comparison tells nothing about the secret's. */
export function isSameSecret(given: string, secret: string): boolean {
  return timingSafeEqual(sha256(given), sha256(secret))
}

const sha256 = (text: string) => createHash('sha256').update(text).digest()
