import { writeFile } from 'node:fs/promises'
import { type BuiltResult, formatPlatform } from '#buildkit-lite'
import type { BuildFlags } from './build-flags.ts'

/** `--iidfile` and `--metadata-file`, with the keys of other builders. */
export async function writeReports(
  flags: Pick<BuildFlags, 'iidfile' | 'metadataFile'>,
  result: BuiltResult,
  names: readonly string[],
): Promise<void> {
  if (flags.iidfile) await writeFile(flags.iidfile, imageId(result))
  if (flags.metadataFile) await writeFile(flags.metadataFile, `${JSON.stringify(reportOf(result, names), null, 2)}\n`)
}

/** Docker's name for an image: its config's digest; an index has only its own. */
export function imageId({ isIndex, images, digest }: BuiltResult): string {
  return isIndex ? digest : images[0].image.configDigest
}

function reportOf(result: BuiltResult, names: readonly string[]): object {
  const { isIndex, images, mediaType, digest, bytes, annotations } = result
  const isOne = images.length === 1
  const [{ platform }] = images
  return {
    ...Object.fromEntries(
      provenancesOf(result).map(({ key, predicate }) => [
        isOne ? 'buildx.build.provenance' : `buildx.build.provenance/${key}`,
        predicate,
      ]),
    ),
    ...(isOne ? { 'containerimage.config.digest': images[0].image.configDigest } : {}),
    'containerimage.descriptor': {
      mediaType,
      digest,
      size: bytes.length,
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
      ...(isIndex ? {} : { platform }),
    },
    'containerimage.digest': digest,
    ...(names.length > 0 ? { 'image.name': names.join(',') } : {}),
  }
}

function provenancesOf({ attestations }: BuiltResult): { key: string; predicate: unknown }[] {
  return attestations.flatMap(({ platform, statements }) =>
    statements
      .filter(({ predicateType }) => predicateType.startsWith('https://slsa.dev/provenance/'))
      .map(({ predicate }) => ({ key: formatPlatform(platform), predicate })),
  )
}
