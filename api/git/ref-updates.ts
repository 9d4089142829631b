import { CommitSha } from '#domain/ids'

/** A ref that a push moved; null for what was not there before, or is not there now. */
export interface RefUpdate {
  ref: string
  before: CommitSha | null
  after: CommitSha | null
}

/** The lines that git gives a post-receive hook: `OLD NEW REF`. https://git-scm.com/docs/githooks#post-receive */
export function readRefUpdates(text: string): RefUpdate[] {
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) => {
    const [before = '', after = '', ...ref] = line.split(' ')
    return { ref: ref.join(' '), before: shaOrNull(before), after: shaOrNull(after) }
  })
}

const shaOrNull = (text: string) => (/^0+$/.test(text) ? null : CommitSha.parse(text))
