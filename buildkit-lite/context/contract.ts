import type { IgnoreMatcher } from './ignore.ts'
import type { IgnoreRule } from './ignore-file.ts'

/** One entry of a build context, as the solver keys and copies it. Paths are relative, `/`-separated, latin1-exact. */
export interface ContextEntry {
  path: string
  kind: 'file' | 'directory' | 'symlink' | 'fifo' | 'socket'
  /** Permission bits, e.g. 0o755. */
  mode: number
  /** Content address of a file: a git blob id or `sha256:…`. It is comparable within one origin only. */
  contentId: string | null
  /** Target of a symlink. */
  linkTarget: string | null
  /** Of a file on disk; one of a git repository says 0. */
  sizeBytes: number
  /** Digest of the extended attributes that count; missing for none. */
  attributes?: string
  /** Of a file that may change: what it was when its content was read. */
  version?: string
}

/** Files to build from: a directory, or a tree of a bare git repository that is checked out only when files are needed. */
export interface BuildContext extends AsyncDisposable {
  /**
   * When the sources were made, in Unix seconds: a commit's time, the newest entry of an archive. Null or missing where
   * nothing says it, as of a directory.
   */
  timestamp?: number | null
  /** Where the files came from, as provenance tells it; missing where nobody else can find them, as for a directory. */
  origin?: { uri: string; digest?: Readonly<Record<string, string>> }
  /** Everything that `.dockerignore` lets through, sorted by path. Computed once. */
  entries(signal: AbortSignal): Promise<readonly ContextEntry[]>
  /** A file by its path, ignoring `.dockerignore` (for the Dockerfile and the ignore file); null where there is none. */
  readFile(path: string, maxBytes: number, signal: AbortSignal): Promise<Buffer | null>
  /**
   * A directory on disk that holds at least these entries, by their paths with those of their directories, or all that
   * `.dockerignore` lets through. Checked out once.
   */
  materialise(signal: AbortSignal, paths?: readonly string[]): Promise<string>
  /** What is to be said when entries are copied; missing where nothing is. */
  remarks?(paths: readonly string[]): readonly string[]
  /** What was worked out from the entries alone, kept for builds of the same ones; missing where they may change. */
  remember?<T>(name: string, work: () => Promise<T>, signal: AbortSignal): Promise<T>
  /** What a missing path says: the line of the ignore file that hides it; null where nothing is hidden there. */
  hiddenBy(path: string): Promise<IgnoreRule | null>
  /** The patterns of the ignore file; null where there is none. */
  ignoreRules(signal: AbortSignal): Promise<IgnoreMatcher | null>
}
