import { messageOf } from '#domain/errors'
import { type GitSource, parseGitUrl } from '../context/git-url.ts'
import { SyntaxFault } from '../dockerfile/errors.ts'
import type { CopySource } from './plan.ts'

const URL_SOURCE = /^https?:\/\//i
const SHA256 = /^sha256:[0-9a-f]{64}$/
const COMMIT = /^[0-9a-f]{7,64}$/i

export interface RemoteFlags {
  checksum: string | null
  keepGitDir: boolean | null
}

function readGit(text: string): GitSource | null {
  try {
    return parseGitUrl(text)
  } catch (error) {
    throw new SyntaxFault(messageOf(error))
  }
}

/** Whether a source's text names a repository or a file elsewhere, in the words of errors. */
export function remoteKind(text: string): 'git ref' | 'URL' | null {
  if (readGit(text) !== null) return 'git ref'
  return URL_SOURCE.test(text) ? 'URL' : null
}

/** A source of ADD that is elsewhere; null for a path. */
export function readRemoteSource(text: string, { checksum, keepGitDir }: RemoteFlags): CopySource | null {
  const git = readGit(text)
  if (git !== null) {
    return {
      kind: 'git',
      url: git.url,
      ref: git.ref,
      subdirectory: git.subdirectory,
      keepGitDir: keepGitDir ?? git.keepGitDir ?? false,
      submodules: git.submodules ?? true,
      checksum: commitOf(checksum ?? git.checksum),
      ...(git.mtime === undefined ? {} : { mtime: git.mtime }),
    }
  }
  if (!URL_SOURCE.test(text)) return null
  if (!URL.canParse(text)) throw new SyntaxFault(`"${text}" is no URL`)
  if (checksum !== null && !SHA256.test(checksum))
    throw new SyntaxFault(`invalid checksum "${checksum}": expected sha256: and 64 hexadecimal digits`)
  return { kind: 'http', url: text, checksum }
}

function commitOf(checksum: string | null): string | null {
  if (checksum === null || COMMIT.test(checksum)) return checksum
  throw new SyntaxFault(`invalid checksum "${checksum}": expected a commit of at least 7 hexadecimal digits`)
}
