import type { AttestationManifest, AttestationStatement, PlatformImage } from '../built-result.ts'
import { canonicalJson } from '../image/canonical-json.ts'
import { sha256 } from '../image/compose-image.ts'
import { OCI_TYPES } from '../image/media-types.ts'
import { composeStatement, type Predicate, type Subject } from './statement.ts'

/** https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidance-for-an-empty-descriptor */
const EMPTY = Buffer.from('{}')
const EMPTY_TYPE = 'application/vnd.oci.empty.v1+json'
const ARTIFACT_TYPE = 'application/vnd.docker.attestation.manifest.v1+json'
const STATEMENT_TYPE = 'application/vnd.in-toto+json'

/**
 * The manifest that says something of an image: one layer a statement, the image as its subject. In an index it stands
 * behind the images, for no platform, so that nobody runs it.
 */
export function composeAttestations(
  { image, platform }: PlatformImage,
  predicates: readonly Predicate[],
  names: readonly string[],
): AttestationManifest {
  const { manifestDigest, manifest, manifestMediaType } = image
  const [algorithm = '', hex = ''] = manifestDigest.split(':')
  const subjects: Subject[] = names.map((name) => ({ name, digest: { [algorithm]: hex } }))
  const statements = predicates.map((predicate): AttestationStatement & { digest: ReturnType<typeof sha256> } => {
    const bytes = composeStatement(predicate, subjects)
    return { ...predicate, bytes, digest: sha256(bytes) }
  })
  const bytes = Buffer.from(
    canonicalJson({
      schemaVersion: 2,
      mediaType: OCI_TYPES.manifest,
      artifactType: ARTIFACT_TYPE,
      config: { mediaType: EMPTY_TYPE, digest: sha256(EMPTY), size: EMPTY.length, data: EMPTY.toString('base64') },
      layers: statements.map(({ digest, bytes, predicateType }) => ({
        mediaType: STATEMENT_TYPE,
        digest,
        size: bytes.length,
        annotations: { 'in-toto.io/predicate-type': predicateType },
      })),
      subject: { mediaType: manifestMediaType, digest: manifestDigest, size: manifest.length },
    }),
  )
  return {
    subject: manifestDigest,
    platform,
    digest: sha256(bytes),
    bytes,
    mediaType: OCI_TYPES.manifest,
    annotations: {
      'vnd.docker.reference.type': 'attestation-manifest',
      'vnd.docker.reference.digest': manifestDigest,
    },
    blobs: [{ digest: sha256(EMPTY), bytes: EMPTY }, ...statements],
    statements,
  }
}
