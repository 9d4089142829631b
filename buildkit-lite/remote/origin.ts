import type { BuildContext } from '../context/contract.ts'

/** What provenance says of something that was fetched: where it lies, without who asked for it, and what it was. */
export type Origin = NonNullable<BuildContext['origin']>

export function gitOrigin({ url, ref, commit }: { url: string; ref: string | null; commit: string }): Origin {
  const uri = `${withoutSecrets(url)}${ref ? `#${ref}` : ''}`
  // Repositories of SHA-256 have longer names.
  return { uri, digest: { [commit.length === 64 ? 'sha256' : 'sha1']: commit } }
}

/** `digest` is `sha256:…`. */
export function httpOrigin({ url, digest }: { url: string; digest: string }): Origin {
  const [algorithm = '', hex = ''] = digest.split(':')
  return { uri: withoutSecrets(url), digest: { [algorithm]: hex } }
}

/** An address without the name and password in it. */
export function withoutSecrets(address: string): string {
  const url = URL.parse(address)
  if (!url || (url.username === '' && url.password === '')) return address
  url.username = ''
  url.password = ''
  return url.href
}
