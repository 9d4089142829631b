import type { Readable } from 'node:stream'
import type { Digest } from '#domain/digest'

/** Content-addressed files below one directory. What is visible is complete and verified. */
export interface BlobStore {
  has(digest: Digest): Promise<{ sizeBytes: number } | null>
  /** The blob's file path; fails with kind `not-found`. */
  pathOf(digest: Digest): Promise<string>
  read(digest: Digest, signal: AbortSignal): Promise<Readable>
  /** Streams in, checks size and digest, then commits: fsync, rename, fsync of the directory. */
  write(
    source: AsyncIterable<Uint8Array>,
    expected: { digest: Digest; sizeBytes?: number },
    signal: AbortSignal,
  ): Promise<void>
  /** A temporary file in the same file system, for a writer that learns the digest at the end. */
  stage(): Promise<StagedBlob>
}

/** Bytes on their way to become a blob. Disposing an uncommitted one removes it. */
export interface StagedBlob extends AsyncDisposable {
  readonly path: string
  /** The writer vouches for the digest, having hashed what it wrote; the size is checked. Closes always. */
  commit(digest: Digest, sizeBytes: number): Promise<void>
}
