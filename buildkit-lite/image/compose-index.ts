import type { Digest } from '#domain/digest'
import type { Platform } from '../plan/plan.ts'
import { canonicalJson } from './canonical-json.ts'
import { sha256 } from './compose-image.ts'
import type { MediaTypes } from './media-types.ts'

export interface IndexEntry {
  mediaType: string
  digest: Digest
  sizeBytes: number
  platform: Platform
  annotations: Readonly<Record<string, string>>
}

/** Writes an image index; equal entries give equal bytes. https://github.com/opencontainers/image-spec/blob/main/image-index.md */
export function composeIndex(
  entries: readonly IndexEntry[],
  annotations: Readonly<Record<string, string>>,
  types: MediaTypes,
): { digest: Digest; bytes: Buffer; mediaType: string } {
  const bytes = Buffer.from(
    canonicalJson({
      schemaVersion: 2,
      mediaType: types.index,
      manifests: entries.map(toDescriptor),
      ...someOf({ annotations }),
    }),
  )
  return { digest: sha256(bytes), bytes, mediaType: types.index }
}

/** How a manifest is named in an index. */
function toDescriptor({ mediaType, digest, sizeBytes, platform, annotations }: IndexEntry): object {
  return { mediaType, digest, size: sizeBytes, platform, ...someOf({ annotations }) }
}

/** Without the records that are empty. */
export function someOf<Records extends Record<string, Readonly<Record<string, unknown>>>>(
  records: Records,
): Partial<Records> {
  return Object.fromEntries(
    Object.entries(records).filter(([, record]) => Object.keys(record).length > 0),
  ) as Partial<Records>
}
