import type { Readable } from 'node:stream'
import type { Descriptor, Digest } from '#domain/digest'
import type { ImageReference } from '#domain/image-reference'
import type { ImageConfig } from '../image/config.ts'
import type { Platform } from '../plan/plan.ts'
import type { Mirrors } from './mirrors.ts'

/** Who we are to a registry. Kept out of argv, logs and URLs. */
export interface Credentials {
  username: string
  password: string
}

export interface RegistryOptions {
  /** Where unqualified names are looked for, in order: `127.0.0.1:3000` before `docker.io`. */
  searchOrder: readonly string[]
  credentialsFor: (registry: string) => Credentials | null
  /** Hosts that may be plain HTTP besides those on loopback. */
  insecure: readonly string[]
  /** Where a registry's images are looked for before itself. */
  mirrors?: Mirrors
  /** Registries that are not used at all, and the file that says so. */
  blocked?: readonly string[]
  file?: string | null
}

export interface PulledManifest {
  /** The reference that was found, spelled out, after the search order. */
  reference: ImageReference
  digest: Digest
  mediaType: string
  bytes: Buffer
  layers: readonly Descriptor[]
  config: ImageConfig
  configDigest: Digest
}

/** A client of OCI registries. Errors have kinds `pull-denied`, `pull-not-found`, `push-denied`, `registry-unavailable`. */
export interface Registry {
  /** Resolves a name (as in FROM) to the manifest of one platform and its config; both digests are verified. */
  resolve(name: string, platform: Platform, signal: AbortSignal): Promise<PulledManifest>
  /** The manifest or index that a reference names, as it is stored and whatever it is of. */
  fetchManifest(
    from: ImageReference,
    signal: AbortSignal,
  ): Promise<{ digest: Digest; mediaType: string; bytes: Buffer }>
  openBlob(from: ImageReference, descriptor: Descriptor, signal: AbortSignal): Promise<Readable>
  hasBlob(to: ImageReference, digest: Digest, signal: AbortSignal): Promise<boolean>
  /** Uploads in one stream; does nothing where the registry has the blob; mounts it from `mountFrom` where it can. */
  pushBlob(
    to: ImageReference,
    blob: { digest: Digest; sizeBytes: number; open: () => Promise<Readable>; mountFrom?: string },
    signal: AbortSignal,
  ): Promise<void>
  /** By digest or by tag, whichever the reference has. */
  pushManifest(
    to: ImageReference,
    manifest: { bytes: Buffer; mediaType: string; digest: Digest },
    signal: AbortSignal,
  ): Promise<void>
}
