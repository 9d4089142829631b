/** Shorter values would make logs unreadable and hide nothing. */
const MIN_LENGTH = 6
const MASK = '***'

/** Replaces secrets in text, in every form in which programs commonly print them. */
export interface SecretMask {
  apply: (text: string) => string
  /** How many characters at the end of `text` may be the beginning of a secret. */
  heldBack: (text: string) => number
}

/** The longest form goes first: a secret that begins another one must not leave the other's tail. */
export function maskOf(secrets: readonly string[]): SecretMask {
  const forms = [...new Set(secrets.flatMap(linesOf).flatMap(formsOf))]
    .filter((form) => form.length >= MIN_LENGTH)
    .sort((a, b) => b.length - a.length)
  return {
    apply: (text) => forms.reduce((masked, form) => masked.replaceAll(form, MASK), text),
    heldBack: (text) => Math.max(0, ...forms.map((form) => overlap(text, form))),
  }
}

function linesOf(secret: string): string[] {
  return [secret, ...secret.split(/\r?\n/)].filter((line) => line.length >= MIN_LENGTH)
}

function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret)
  return [
    secret,
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ...[0, 1, 2].flatMap((offset) => base64Core(bytes, offset)),
  ]
}

/**
 * The part of the base64 of a longer text that only the secret decides, where it begins `offset` bytes into a group of
 * three: characters that share bits with a neighbour are left out.
 */
function base64Core(secret: Buffer, offset: number): string[] {
  const padded = Buffer.concat([Buffer.alloc(offset), secret])
  const from = offset === 0 ? 0 : offset + 1
  const to = Math.floor((padded.length * 8) / 6)
  return [padded.toString('base64').slice(from, to), padded.toString('base64url').slice(from, to)]
}

/** Length of the longest end of `text` that is a beginning of `form`, but not all of it. */
function overlap(text: string, form: string): number {
  for (let length = Math.min(text.length, form.length - 1); length > 0; length--)
    if (text.endsWith(form.slice(0, length))) return length
  return 0
}
