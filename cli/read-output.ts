import { resolve } from 'node:path'
import type { ImageSettings } from '#buildkit-lite'
import { UsageError } from './exit-codes.ts'
import { readFields } from './flag-values.ts'
import { flagOf, IMAGE_KEYS, isAnnotationKey, readOutputSettings } from './output-settings.ts'

/** One place that the result goes to. `dest` `-` is standard output. */
export type Output =
  | { kind: 'local'; dest: string; mode: 'copy' | 'delete'; files: FileOptions }
  | { kind: 'tar'; dest: string; files: FileOptions }
  | ImageOutput
  | { kind: 'cacheonly' }

/** An output with an image in a form of its own; without names of its own it has those of the build. */
export type ImageOutput = { settings: ImageSettings; names: readonly string[] } & (
  | { kind: 'oci' | 'docker'; dest: string; isTar: boolean }
  | { kind: 'image'; push: PushOptions | null }
)

/** How attestations and several platforms lie beside each other. */
interface FileOptions {
  /** Null splits where there are several platforms. */
  splitsPlatforms: boolean | null
  attestationPrefix: string
}

export interface PushOptions {
  byDigestOnly: boolean
  /** Names the result with its digest in reports. */
  isCanonical: boolean
  isInsecure: boolean
}

const KEYS = {
  local: ['dest', 'mode', 'platform-split', 'attestation-prefix'],
  tar: ['dest', 'platform-split', 'attestation-prefix'],
  oci: ['dest', 'tar', 'name', ...IMAGE_KEYS],
  docker: ['dest', 'tar', 'name', ...IMAGE_KEYS],
  image: [
    'name',
    'push',
    'push-by-digest',
    'name-canonical',
    'registry.insecure',
    'store',
    'unpack',
    'dangling-name-prefix',
    ...IMAGE_KEYS,
  ],
  cacheonly: [],
} as const satisfies Record<Output['kind'], readonly string[]>

type Fields = Readonly<Record<string, string>>

/** Reads one `-o`: `type=…,KEY=VALUE,…`, a directory, or `-` for a tar on standard output. */
export function readOutput(text: string, settings: ImageSettings, tags: readonly string[]): Output {
  const files = { splitsPlatforms: null, attestationPrefix: '' }
  if (!text.includes('='))
    return text === '-'
      ? { kind: 'tar', dest: '-', files }
      : { kind: 'local', dest: resolve(text), mode: 'copy', files }
  const { type = '', ...given } = readFields(text)
  const fields: Fields = type === 'registry' ? { push: 'true', ...given } : given
  const kind = type === 'registry' ? 'image' : type
  if (!isKind(kind))
    throw new UsageError(
      `--output "${text}" has the type "${type}", expected one of local, tar, oci, docker, image, registry, cacheonly`,
    )
  refuseUnknown(text, fields, KEYS[kind])
  switch (kind) {
    case 'local':
    case 'tar':
      return readFileOutput(text, kind, fields)
    case 'oci':
    case 'docker':
      return { kind, ...readArchive(text, kind, fields), ...readImage(text, fields, { settings, tags }) }
    case 'image':
      return readImageOutput(text, fields, { settings, tags })
    case 'cacheonly':
      return { kind }
    default:
      return kind satisfies never
  }
}

function isKind(text: string): text is Output['kind'] {
  return Object.hasOwn(KEYS, text)
}

function refuseUnknown(text: string, fields: Fields, known: readonly string[]): void {
  const takesAnnotations = known.includes('compression')
  for (const key of Object.keys(fields)) {
    if (known.includes(key) || (takesAnnotations && isAnnotationKey(key))) continue
    const more = takesAnnotations ? ', annotation.NAME' : ''
    throw new UsageError(`--output "${text}" has the unknown key "${key}", expected one of ${known.join(', ')}${more}`)
  }
}

function readFileOutput(text: string, kind: 'local' | 'tar', fields: Fields): Output {
  const split = fields['platform-split']
  const files = {
    splitsPlatforms: split === undefined ? null : flagOf(text, fields, 'platform-split', true),
    attestationPrefix: fields['attestation-prefix'] ?? '',
  }
  if (kind === 'tar') return { kind, dest: destOf(fields) ?? '-', files }
  const dest = destOf(fields)
  if (!dest || dest === '-') throw new UsageError('--output type=local needs dest=DIRECTORY')
  const { mode = 'copy' } = fields
  if (mode !== 'copy' && mode !== 'delete')
    throw new UsageError(`--output "${text}" has the mode "${mode}", expected copy or delete`)
  if (mode === 'delete' && dest === '/') throw new UsageError('--output mode=delete would empty /: name a directory')
  return { kind, dest, mode, files }
}

function readArchive(text: string, kind: 'oci' | 'docker', fields: Fields): { dest: string; isTar: boolean } {
  const isTar = flagOf(text, fields, 'tar', true)
  const dest = destOf(fields) ?? '-'
  if (!isTar && kind === 'docker')
    throw new UsageError(`--output "${text}": Docker takes archives only, use type=oci for a directory`)
  if (!isTar && dest === '-') throw new UsageError(`--output "${text}" with tar=false needs dest=DIRECTORY`)
  return { dest, isTar }
}

interface Given {
  settings: ImageSettings
  tags: readonly string[]
}

function readImage(text: string, fields: Fields, { settings, tags }: Given) {
  const names = (fields['name'] ?? '').split(',').filter((name) => name !== '')
  return { settings: readOutputSettings(text, fields, settings), names: names.length > 0 ? names : tags }
}

function readImageOutput(text: string, fields: Fields, given: Given): Output {
  const image = readImage(text, fields, given)
  const flag = (key: string) => flagOf(text, fields, key, false)
  // There is no store of images here: what is built stays in the builder's cache, unpacked where steps need it.
  flag('store')
  if (flag('unpack') && image.settings.rewriteTimestamp)
    throw new UsageError(`--output "${text}": unpack and rewrite-timestamp do not go together`)
  const byDigestOnly = flag('push-by-digest')
  if (!flag('push') && !byDigestOnly) return { kind: 'image', push: null, ...image }
  return {
    kind: 'image',
    push: { byDigestOnly, isCanonical: flag('name-canonical'), isInsecure: flag('registry.insecure') },
    ...image,
    names: pushedNames(image.names),
  }
}

export function pushedNames(names: readonly string[]): readonly string[] {
  if (names.length === 0) throw new UsageError('a push needs a name: give one with -t HOST/NAME:TAG')
  return names
}

function destOf(fields: Fields): string | undefined {
  return fields['dest'] === '-' ? '-' : fields['dest'] && resolve(fields['dest'])
}
