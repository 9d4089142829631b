import type { HookProvider } from './provider.ts'

export type Payload = { ok: true; value: unknown } | { ok: false; status: number; reason: string }
type Refusal = Extract<Payload, { ok: false }>

/** Parses a trusted body by its declared media type; what is neither JSON nor one form field is refused. */
export function readPayload(
  body: Buffer,
  contentType: string | undefined,
  provider: Pick<HookProvider, 'acceptsForms' | 'jsonTypes'>,
): Payload {
  const mediaType = /^([\w.+-]+\/[\w.+-]+) *(?:;[\x20-\x7e]*)?$/.exec(contentType ?? '')?.[1]?.toLowerCase() ?? ''
  if (mediaType === 'application/json' || provider.jsonTypes?.test(mediaType)) return parseJson(body.toString('utf8'))
  if (mediaType !== 'application/x-www-form-urlencoded' || !provider.acceptsForms)
    return { ok: false, status: 415, reason: `content type "${contentType ?? ''}" is not application/json` }
  const payload = formPayload(body)
  return payload.ok ? parseJson(payload.text) : payload
}

/** The one field `payload` of a form. */
export function formPayload(body: Buffer): { ok: true; text: string } | Refusal {
  const fields = new URLSearchParams(body.toString('utf8')).getAll('payload')
  const [text] = fields
  if (text !== undefined && fields.length === 1) return { ok: true, text }
  return { ok: false, status: 400, reason: `the form has ${fields.length} fields named payload, expected 1` }
}

function parseJson(text: string): Payload {
  try {
    return { ok: true, value: JSON.parse(text) }
  } catch {
    return { ok: false, status: 400, reason: 'the body is not JSON' }
  }
}
