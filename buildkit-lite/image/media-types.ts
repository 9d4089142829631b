import { compressionOf, LAYER_MEDIA_TYPES } from '../layers/compression.ts'

/** The types of one family of formats: OCI's, or Docker's own of before. */
export interface MediaTypes {
  index: string
  manifest: string
  config: string
  layer(this: void, mediaType: string): string
}

const DOCKER_LAYER = 'application/vnd.docker.image.rootfs.diff.tar'
const DOCKER_LAYERS = { gzip: `${DOCKER_LAYER}.gzip`, zstd: `${DOCKER_LAYER}.zstd`, none: DOCKER_LAYER } as const

/** https://github.com/opencontainers/image-spec/blob/main/media-types.md */
export const OCI_TYPES: MediaTypes = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  // Layers of a Docker base are the same bytes under another type; OCI's own types stay, whichever they are.
  layer: (mediaType) =>
    mediaType.startsWith('application/vnd.docker.image.rootfs.diff.')
      ? LAYER_MEDIA_TYPES[compressionOf(mediaType)]
      : mediaType,
}

/** https://distribution.github.io/distribution/spec/manifest-v2-2/ */
export const DOCKER_TYPES: MediaTypes = {
  index: 'application/vnd.docker.distribution.manifest.list.v2+json',
  manifest: 'application/vnd.docker.distribution.manifest.v2+json',
  config: 'application/vnd.docker.container.image.v1+json',
  layer: (mediaType) => DOCKER_LAYERS[compressionOf(mediaType)],
}
