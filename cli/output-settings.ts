import { type AnnotationPlace, hostPlatform, type ImageSettings, parsePlatform } from '#buildkit-lite'
import { messageOf } from '#domain/errors'
import { UsageError } from './exit-codes.ts'
import { readBoolean } from './flag-values.ts'

/** Keys of every output that writes an image, besides `annotation…`. */
export const IMAGE_KEYS = [
  'compression',
  'compression-level',
  'force-compression',
  'oci-mediatypes',
  'rewrite-timestamp',
] as const

const ANNOTATION = /^annotation(?:-(manifest|index|manifest-descriptor|index-descriptor))?(?:\[([^\]]+)\])?\.(.+)$/

export function isAnnotationKey(key: string): boolean {
  return ANNOTATION.test(key)
}

type Fields = Readonly<Record<string, string>>

/** What an output says of its image, on top of what the build's flags say. */
export function readOutputSettings(text: string, fields: Fields, settings: ImageSettings): ImageSettings {
  const annotations = Object.entries(fields).flatMap(([key, value]) => readAnnotation(text, key, value))
  return {
    ...settings,
    annotations: [...settings.annotations, ...annotations],
    compression: readCompression(text, fields, settings.compression),
    ociMediaTypes: flagOf(text, fields, 'oci-mediatypes', settings.ociMediaTypes),
    rewriteTimestamp: flagOf(text, fields, 'rewrite-timestamp', settings.rewriteTimestamp),
  }
}

const KINDS: Readonly<Record<string, ImageSettings['compression']['kind']>> = {
  gzip: 'gzip',
  zstd: 'zstd',
  uncompressed: 'none',
}

/** https://github.com/facebook/zstd: levels up to 22; zlib has nine. */
const HIGHEST_LEVEL = { gzip: 9, zstd: 22, none: 22 } as const

function readCompression(
  text: string,
  fields: Fields,
  given: ImageSettings['compression'],
): ImageSettings['compression'] {
  const name = fields['compression']
  const kind = name === undefined ? given.kind : KINDS[name]
  if (name === 'estargz')
    throw new UsageError(`--output "${text}": compression=estargz is not supported, use gzip or zstd`)
  if (!kind)
    throw new UsageError(`--output "${text}" has compression=${name}, expected one of gzip, zstd, uncompressed`)
  const force = flagOf(text, fields, 'force-compression', given.force)
  const level = fields['compression-level']
  if (level === undefined) return { kind, level: given.level, force }
  if (!/^\d{1,2}$/.test(level) || Number(level) > HIGHEST_LEVEL[kind])
    throw new UsageError(
      `--output "${text}" has compression-level=${level}, expected a number from 0 to ${HIGHEST_LEVEL[kind]}`,
    )
  return { kind, level: Number(level), force }
}

function readAnnotation(text: string, key: string, value: string): ImageSettings['annotations'][number][] {
  const [, place = 'manifest', platform, name] = ANNOTATION.exec(key) ?? []
  if (name === undefined) return []
  return [{ place: place as AnnotationPlace, platform: platform ? platformOf(text, platform) : null, name, value }]
}

function platformOf(text: string, platform: string): ReturnType<typeof hostPlatform> {
  try {
    return parsePlatform(platform, hostPlatform())
  } catch (error) {
    throw new UsageError(`--output "${text}": ${messageOf(error)}`)
  }
}

/** A key without a value is true, as with other builders. */
export function flagOf(text: string, fields: Fields, key: string, fallback: boolean): boolean {
  const value = fields[key]
  if (value === undefined) return fallback
  const read = readBoolean(value === '' ? 'true' : value)
  if (read === null) throw new UsageError(`--output "${text}" has ${key}=${value}, expected true or false`)
  return read
}
