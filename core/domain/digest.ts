import { z } from 'zod'

/**
 * A content address: `sha256:` and 64 lower-case hex digits.
 * https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests
 */
export const Digest = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, 'a digest is sha256: and 64 lower-case hex digits')
  .brand<'Digest'>()
export type Digest = z.infer<typeof Digest>

/** The 64 hex digits of a digest. */
export function digestHex(digest: Digest): string {
  return digest.slice('sha256:'.length)
}

/**
 * What a manifest says of a blob. `size` is in bytes, as the OCI image spec names it.
 * https://github.com/opencontainers/image-spec/blob/main/descriptor.md
 */
export const Descriptor = z.object({
  mediaType: z.string(),
  digest: Digest,
  size: z.number().int().nonnegative(),
  annotations: z.record(z.string(), z.string()).optional(),
  platform: z
    .object({
      architecture: z.string(),
      os: z.string(),
      variant: z.string().optional(),
      'os.version': z.string().optional(),
    })
    .optional(),
})
export type Descriptor = z.infer<typeof Descriptor>

/** A layer as it is stored and as it is applied. */
export const Layer = z.object({
  /** The compressed blob: media type, digest and size in bytes. */
  descriptor: Descriptor,
  /** Digest of the uncompressed tar. */
  diffId: Digest,
})
export type Layer = z.infer<typeof Layer>
