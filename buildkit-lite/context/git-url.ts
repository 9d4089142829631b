import { SlipwayError } from '#domain/errors'

/** A directory of a git repository, as one text names it. */
export interface GitSource {
  /** What git itself is given; never starts with a dash. */
  url: string
  /** Branch, tag or commit; null is the default branch. */
  ref: string | null
  /** `/` is all of the tree. */
  subdirectory: string
  /** The commit that `ref` has to be, whole or abbreviated. */
  checksum: string | null
  /** Null where the text does not say. */
  keepGitDir: boolean | null
  submodules: boolean | null
  /** That files shall have the time of their commit, and not of the checkout. */
  mtime?: 'commit'
}

export interface GitUrlOptions {
  /** Also `github.com/…` and `file://…`, which only the person who starts the build may mean. */
  local: boolean
}

const SCHEME = /^([a-zA-Z0-9]+):\/\//
/** `user@host:path`, the form of ssh. */
const SCP = /^[\w-]+@[a-zA-Z0-9.-]+:/

/**
 * Reads `https://host/name.git#ref:directory`, the same with `?ref=…&subdir=…`, and `git@host:name.git`; null where the
 * text is no git repository. https://docs.docker.com/build/concepts/context/#url-fragments
 */
export function parseGitUrl(text: string, options: GitUrlOptions = { local: false }): GitSource | null {
  const hash = text.indexOf('#')
  const fragment = hash < 0 ? '' : text.slice(hash + 1)
  const place = hash < 0 ? text : text.slice(0, hash)
  const question = place.indexOf('?')
  const address = question < 0 ? place : place.slice(0, question)
  const url = readAddress(address, options)
  if (url === null) return null
  const colon = fragment.indexOf(':')
  const source: GitSource = {
    url,
    ref: (colon < 0 ? fragment : fragment.slice(0, colon)) || null,
    subdirectory: colon < 0 ? '' : fragment.slice(colon + 1),
    checksum: null,
    keepGitDir: null,
    submodules: null,
  }
  if (question >= 0) readQuery(source, new URLSearchParams(place.slice(question + 1)), text)
  source.ref ??= source.checksum
  source.subdirectory ||= '/'
  if (source.ref?.startsWith('-')) throw invalid(text, `"${source.ref}" is no git ref`)
  return source
}

function readAddress(address: string, { local }: GitUrlOptions): string | null {
  if (SCP.test(address)) return address
  if (local && address.startsWith('github.com/')) return `https://${address}`
  switch (SCHEME.exec(address)?.[1]?.toLowerCase() ?? '') {
    case 'git':
    case 'ssh':
      return address
    case 'http':
    case 'https':
      // Any other address of the web is a file to download.
      return address.endsWith('.git') ? address : null
    case 'file':
      return local ? address : null
    default:
      return null
  }
}

/** Queries that say enough by being there. */
const FLAGS = ['keep-git-dir', 'submodules', 'fetch-by-commit']

function readQuery(source: GitSource, query: URLSearchParams, text: string): void {
  let tag = ''
  let branch = ''
  for (const key of new Set(query.keys())) {
    const [value = '', ...more] = query.getAll(key)
    if (more.length > 0) throw invalid(text, `query "${key}" has multiple values`)
    if (value === '' && !FLAGS.includes(key)) {
      throw invalid(text, `query "${key}" has no value`)
    }
    if (key === 'tag') tag = withPrefix('refs/tags/', value)
    else if (key === 'branch') branch = withPrefix('refs/heads/', value)
    else readField(source, { key, value }, text)
  }
  if (tag !== '' && branch !== '') throw invalid(text, 'branch conflicts with tag')
  const named = tag || branch
  if (named !== '') source.ref = agree('ref', source.ref, named, text)
}

function readField(source: GitSource, { key, value }: { key: string; value: string }, text: string): void {
  switch (key) {
    case 'ref':
      source.ref = agree('ref', source.ref, value, text)
      return
    case 'subdir':
      source.subdirectory = agree('subdir', source.subdirectory, value, text)
      return
    case 'checksum':
    case 'commit':
      source.checksum = value
      return
    case 'mtime':
      if (value === 'commit') source.mtime = value
      else if (value !== 'checkout') throw invalid(text, `invalid mtime value: "${value}"`)
      return
    case 'fetch-by-commit':
      // It is what is always done; a server that does not have it is asked for the ref.
      readBoolean(key, value, text)
      return
    case 'keep-git-dir':
      source.keepGitDir = readBoolean(key, value, text)
      return
    case 'submodules':
      source.submodules = readBoolean(key, value, text)
      return
    default:
      throw invalid(text, `unexpected query "${key}"`)
  }
}

function agree(what: string, known: string | null, value: string, text: string): string {
  if (known && known !== value) throw invalid(text, `${what} conflicts: "${known}" vs "${value}"`)
  return value
}

function withPrefix(prefix: string, name: string): string {
  return name.startsWith(prefix) ? name : prefix + name
}

const TRUE = ['', '1', 't', 'T', 'true', 'True', 'TRUE']
const FALSE = ['0', 'f', 'F', 'false', 'False', 'FALSE']

function readBoolean(key: string, value: string, text: string): boolean {
  if (TRUE.includes(value)) return true
  if (FALSE.includes(value)) return false
  throw invalid(text, `invalid ${key} value: "${value}"`)
}

function invalid(text: string, why: string): SlipwayError {
  return new SlipwayError('context-invalid', `${text} is not an address of a git repository: ${why}`)
}
