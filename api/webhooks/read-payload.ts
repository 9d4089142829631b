export type Payload = { ok: true; value: unknown } | { ok: false; status: number; reason: string }

/** Parses a trusted body by its declared media type; what is neither JSON nor one form field is refused. */
export function readPayload(body: Buffer, contentType: string | undefined, acceptsForms: boolean): Payload {
  const mediaType = /^([\w.+-]+\/[\w.+-]+) *(?:;[\x20-\x7e]*)?$/.exec(contentType ?? '')?.[1]?.toLowerCase()
  if (mediaType === 'application/json') return parseJson(body.toString('utf8'))
  if (mediaType !== 'application/x-www-form-urlencoded' || !acceptsForms)
    return { ok: false, status: 415, reason: `content type "${contentType ?? ''}" is not application/json` }
  const fields = new URLSearchParams(body.toString('utf8')).getAll('payload')
  const [payload] = fields
  if (payload === undefined || fields.length !== 1)
    return { ok: false, status: 400, reason: `the form has ${fields.length} fields named payload, expected 1` }
  return parseJson(payload)
}

function parseJson(text: string): Payload {
  try {
    return { ok: true, value: JSON.parse(text) }
  } catch {
    return { ok: false, status: 400, reason: 'the body is not JSON' }
  }
}
