type Secrets = Readonly<Record<string, Buffer>>

/** The Authorization header that a build's secrets have for a place, by its host; null for none. */
export function httpAuthorization(secrets: Secrets, url: string): string | null {
  const { host, hostname } = new URL(url)
  for (const name of new Set([host, hostname])) {
    const header = textOf(secrets, `HTTP_AUTH_HEADER_${name}`)
    if (header !== null) return header
    const token = textOf(secrets, `HTTP_AUTH_TOKEN_${name}`)
    if (token !== null) return `Bearer ${token}`
  }
  return null
}

/** The same for repositories: secrets of one host go before those of all. */
export function gitAuthorization(secrets: Secrets, url: string): string | null {
  const place = URL.parse(url)
  if (!place || !/^https?:$/.test(place.protocol)) return null
  for (const suffix of new Set([`.${place.host}`, `.${place.hostname}`, ''])) {
    const header = textOf(secrets, `GIT_AUTH_HEADER${suffix}`)
    if (header !== null) return header
    const token = textOf(secrets, `GIT_AUTH_TOKEN${suffix}`)
    if (token !== null) return `basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`
  }
  return null
}

/** Files that hold secrets end with a line break more often than not. */
function textOf(secrets: Secrets, name: string): string | null {
  const value = Object.hasOwn(secrets, name) ? secrets[name] : undefined
  const text = value?.toString('utf8').trim()
  return text ? text : null
}
