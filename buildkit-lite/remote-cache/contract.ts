import { z } from 'zod'
import { SlipwayError } from '#domain/errors'
import { type ImageReference, parseImageReference, Tag } from '#domain/image-reference'
import type { Compression } from '../layers/compression.ts'

/** One `--cache-from` or `--cache-to` as it was written: its type and its other fields. */
export interface CachePlace {
  type: string
  fields: Readonly<Record<string, string>>
}

/** Where steps are taken from. */
export type CacheSource =
  /** A cache manifest, or an image with a cache in its config. */
  { kind: 'registry'; reference: ImageReference } | { kind: 'local'; directory: string; pick: LocalPick }

/** Which manifest of a directory: by its digest, or by its tag. */
type LocalPick = { kind: 'digest'; digest: string } | { kind: 'tag'; tag: string }

/** Where steps are written to. An inline cache goes with the image: see `ImageSettings.inlineCache`. */
export type CacheTarget =
  | { kind: 'inline' }
  | ({ kind: 'registry'; reference: ImageReference } & CacheForm)
  | ({ kind: 'local'; directory: string; tag: string } & CacheForm)

export interface CacheForm {
  /** The steps of the final image, or those of all stages. */
  mode: 'min' | 'max'
  /** A manifest as of an image; without it an index of blobs, as builders wrote it in former times. */
  imageManifest: boolean
  ociMediaTypes: boolean
  /** Null leaves layers as they are. */
  compression: Compression | null
  /** A cache that cannot be written is no reason to fail. */
  ignoreError: boolean
}

const boolean = z.enum(['true', 'false', '1', '0']).transform((text) => text === 'true' || text === '1')
const Form = z.object({
  mode: z.enum(['min', 'max']).default('min'),
  'image-manifest': boolean.optional(),
  'oci-mediatypes': boolean.default(true),
  compression: z.enum(['gzip', 'zstd', 'uncompressed']).optional(),
  'force-compression': boolean.optional(),
  'compression-level': z.string().optional(),
  'ignore-error': boolean.default(false),
})
const RegistryTarget = Form.extend({ ref: z.string() })
const LocalTarget = Form.extend({ dest: z.string(), tag: Tag.default(Tag.parse('latest')) })
const RegistrySource = z.object({ ref: z.string() })
const LocalSource = z.object({ src: z.string(), tag: Tag.default(Tag.parse('latest')), digest: z.string().optional() })

/** What `--cache-from` says; fails with kind `invalid`. */
export function readCacheSource({ type, fields }: CachePlace): CacheSource {
  if (type === 'registry')
    return { kind: 'registry', reference: parseImageReference(parseFields(RegistrySource, type, fields).ref) }
  if (type !== 'local') throw unknownType(type)
  const { src: directory, tag, digest } = parseFields(LocalSource, type, fields)
  return { kind: 'local', directory, pick: digest ? { kind: 'digest', digest } : { kind: 'tag', tag } }
}

/** What `--cache-to` says; fails with kind `invalid`. */
export function readCacheTarget({ type, fields }: CachePlace): CacheTarget {
  if (type === 'inline') return { kind: 'inline' }
  if (type === 'registry') {
    const { ref, ...form } = parseFields(RegistryTarget, type, fields)
    return { kind: 'registry', reference: parseImageReference(ref), ...formOf(form) }
  }
  if (type !== 'local') throw unknownType(type)
  const { dest: directory, tag, ...form } = parseFields(LocalTarget, type, fields)
  return { kind: 'local', directory, tag, ...formOf(form) }
}

function formOf(form: z.infer<typeof Form>): CacheForm {
  const { compression } = form
  const ociMediaTypes = form['oci-mediatypes']
  const imageManifest = form['image-manifest'] ?? ociMediaTypes
  if (imageManifest && !ociMediaTypes)
    throw new SlipwayError(
      'invalid',
      'A cache with image-manifest=true has OCI media types: it needs oci-mediatypes=true',
    )
  return {
    mode: form.mode,
    imageManifest,
    ociMediaTypes,
    compression: compression === 'uncompressed' ? 'none' : (compression ?? null),
    ignoreError: form['ignore-error'],
  }
}

function parseFields<T>(schema: z.ZodType<T>, type: string, fields: CachePlace['fields']): T {
  const parsed = schema.safeParse(fields)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const field = issue?.path.join('.') ?? ''
  const got = fields[field] === undefined ? 'nothing' : `"${fields[field]}"`
  throw new SlipwayError('invalid', `A cache of type ${type} has ${got} for ${field}: ${issue?.message}`)
}

function unknownType(type: string): SlipwayError {
  return new SlipwayError('invalid', `A cache is of type "${type}", expected registry, local or inline`)
}
