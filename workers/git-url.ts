import { SlipwayError } from '#domain/errors'

/** Where to fetch from, with nothing secret in the URL, which shows in process lists and in `FETCH_HEAD`. */
export interface GitRemote {
  url: string
  credentials: { username: string; password: string } | null
}

const HOST = /^(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)$/
const USER = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/
const SCP = /^(?:(?<user>[^@:/\s]+)@)?(?<host>[^@:/\s]+):(?<path>[^\s]+)$/

/**
 * Reads a clone URL: http, https, ssh, or `user@host:path`. Everything else that git would understand is refused before
 * git runs: other transports (`ext::`, `file://`, `fd::`), and parts that a program could take for an option.
 */
export function parseGitUrl(text: string): GitRemote {
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u0020\u007f]/.test(text)) throw refused('it has spaces or control characters')
  if (text.startsWith('-')) throw refused('it starts with -')
  if (/^(?:https?|ssh):\/\//.test(text)) return parseUrl(text)
  const scp = SCP.exec(text)?.groups
  if (scp && !text.includes('::') && !text.includes('://')) return parseScp(text, scp)
  throw refused('expected http://, https://, ssh:// or user@host:path')
}

function parseUrl(text: string): GitRemote {
  if (!URL.canParse(text)) throw refused('it cannot be parsed')
  const url = new URL(text)
  if (!HOST.test(url.hostname)) throw refused(`"${url.hostname}" is not a host name`)
  if (url.pathname.startsWith('/-') || url.pathname === '' || url.pathname === '/') throw refused('it names no path')
  const username = decodeURIComponent(url.username)
  const password = decodeURIComponent(url.password)
  if (url.protocol === 'ssh:') {
    if (password !== '') throw refused('a password in an ssh URL is not used')
    if (username !== '' && !USER.test(username)) throw refused(`"${username}" is not a user name`)
    return { url: url.href, credentials: null }
  }
  url.username = ''
  url.password = ''
  return { url: url.href, credentials: username === '' && password === '' ? null : { username, password } }
}

function parseScp(text: string, parts: Record<string, string | undefined>): GitRemote {
  const { user, host = '', path = '' } = parts
  if (user !== undefined && !USER.test(user)) throw refused(`"${user}" is not a user name`)
  if (!HOST.test(host)) throw refused(`"${host}" is not a host name`)
  if (path.startsWith('-')) throw refused('its path starts with -')
  return { url: text, credentials: null }
}

function refused(why: string): SlipwayError {
  // The text itself may hold a password.
  return new SlipwayError('source-unavailable', `The repository URL is refused: ${why}`)
}
