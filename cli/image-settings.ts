import {
  type AnnotationPlace,
  DEFAULT_IMAGE_SETTINGS,
  hostPlatform,
  type ImageSettings,
  parsePlatform,
} from '#buildkit-lite'
import { messageOf } from '#domain/errors'
import type { BuildFlags } from './build-flags.ts'
import { UsageError } from './exit-codes.ts'
import { readBoolean, readFields } from './flag-values.ts'

/** What the image says of itself: annotations and attestations. How its layers are written is each output's. */
export function readImageSettings(
  flags: Pick<BuildFlags, 'annotation' | 'attest' | 'provenance' | 'sbom'>,
): ImageSettings {
  const attested = readAttestations(flags)
  return { ...DEFAULT_IMAGE_SETTINGS, annotations: flags.annotation.flatMap(readAnnotation), ...attested }
}

const PLACES: readonly AnnotationPlace[] = ['manifest', 'index', 'manifest-descriptor', 'index-descriptor']

/** `[PLACE[PLATFORM],…:]NAME=VALUE`; a platform stands in brackets. */
function readAnnotation(flag: string): ImageSettings['annotations'][number][] {
  const equals = flag.indexOf('=')
  if (equals < 0) throw new UsageError(`--annotation "${flag}" is not NAME=VALUE`)
  const left = flag.slice(0, equals)
  const value = flag.slice(equals + 1)
  const colon = left.indexOf(':')
  const name = left.slice(colon + 1)
  if (name === '') throw new UsageError(`--annotation "${flag}" has no name`)
  const places = colon < 0 ? ['manifest'] : left.slice(0, colon).split(',')
  return places.map((text) => {
    const [, word = '', platform] = /^([a-z-]+)(?:\[(.+)\])?$/.exec(text.trim()) ?? []
    const place = PLACES.find((one) => one === word)
    if (!place) throw new UsageError(`--annotation "${flag}" has no place "${text}": expected ${PLACES.join(', ')}`)
    return { place, platform: platform === undefined ? null : readPlatform(platform), name, value }
  })
}

/** The platforms of `--platform`, each once; this machine's where none is given. */
export function readPlatforms(
  flags: readonly string[],
): [ReturnType<typeof readPlatform>, ...ReturnType<typeof readPlatform>[]] {
  const names = flags.flatMap((flag) => flag.split(',')).map((name) => name.trim())
  const platforms = names.filter((name) => name !== '').map(readPlatform)
  const [first = hostPlatform(), ...more] = new Map(platforms.map((one) => [JSON.stringify(one), one])).values()
  return [first, ...more]
}

function readPlatform(text: string): ReturnType<typeof hostPlatform> {
  if (text === 'local') return hostPlatform()
  try {
    return parsePlatform(text, hostPlatform())
  } catch (error) {
    throw new UsageError(messageOf(error))
  }
}

type Attested = Pick<ImageSettings, 'provenance' | 'sbom'>

/** `--provenance` and `--sbom` are short for `--attest type=…`, and win over it. */
function readAttestations(flags: Pick<BuildFlags, 'attest' | 'provenance' | 'sbom'>): Attested {
  let attested: Attested = { provenance: null, sbom: false }
  for (const flag of flags.attest) {
    const { type, ...fields } = readFields(flag)
    if (type === 'provenance') attested = { ...attested, provenance: readProvenance(flag, fields) }
    else if (type === 'sbom') attested = { ...attested, sbom: readSbom(flag, fields) }
    else throw new UsageError(`--attest "${flag}" is of type "${type ?? ''}", expected provenance or sbom`)
  }
  const { provenance, sbom } = flags
  if (provenance !== undefined)
    attested = { ...attested, provenance: readProvenance(provenance, readShort(provenance)) }
  if (sbom !== undefined) attested = { ...attested, sbom: readSbom(sbom, readShort(sbom)) }
  return attested
}

/** A boolean alone says whether. */
function readShort(text: string): Record<string, string> {
  const isOn = readBoolean(text)
  return isOn === null ? readFields(text) : { disabled: String(!isOn) }
}

function readProvenance(flag: string, fields: Record<string, string>): ImageSettings['provenance'] {
  const known = ['mode', 'version', 'builder-id', 'reproducible', 'disabled', 'inline-only', 'filename']
  refuseUnknown(`provenance "${flag}"`, fields, known)
  if (isTrue(flag, fields, 'disabled')) return null
  const { mode = 'min', version = 'v0.2' } = fields
  if (mode !== 'min' && mode !== 'max')
    throw new UsageError(`provenance mode "${mode}" is unknown: expected min or max`)
  if (version !== 'v0.2' && version !== 'v1')
    throw new UsageError(`provenance version "${version}" is unknown: expected v0.2 or v1`)
  const reproducible = isTrue(flag, fields, 'reproducible')
  const { filename } = fields
  if (filename !== undefined && !/^[^/]+\.json$/.test(filename))
    throw new UsageError(`provenance filename "${filename}" is no name of a JSON file in the output`)
  return {
    mode,
    version,
    builderId: fields['builder-id'] ?? '',
    reproducible,
    ...(isTrue(flag, fields, 'inline-only') ? { inlineOnly: true } : {}),
    ...(filename === undefined ? {} : { fileName: filename }),
  }
}

function readSbom(flag: string, fields: Record<string, string>): boolean {
  refuseUnknown(`sbom "${flag}"`, fields, ['disabled'])
  return !isTrue(flag, fields, 'disabled')
}

function refuseUnknown(what: string, fields: Record<string, string>, known: readonly string[]): void {
  const unknown = Object.keys(fields).find((name) => !known.includes(name))
  if (unknown === undefined) return
  const why = unknown === 'generator' ? ': package databases are read by the builder itself' : ''
  throw new UsageError(`${what} has an unknown field "${unknown}"${why}. Expected ${known.join(', ')}`)
}

function isTrue(flag: string, fields: Record<string, string>, name: string): boolean {
  const text = fields[name]
  if (text === undefined) return false
  const value = readBoolean(text === '' ? 'true' : text)
  if (value === null) throw new UsageError(`"${flag}": ${name} is "${text}", expected true or false`)
  return value
}
