import { expect, test } from 'vitest'
import { DEFAULT_IMAGE_SETTINGS, hostPlatform } from '#buildkit-lite'
import { UsageError } from '../../cli/exit-codes.ts'
import { readImageSettings, readPlatforms } from '../../cli/image-settings.ts'

const NOTHING = { annotation: [], attest: [] }
const MINIMAL = { mode: 'min', version: 'v0.2', builderId: '', reproducible: false }

test('annotations say where they belong, else to the manifest', () => {
  expect(readImageSettings(NOTHING)).toEqual(DEFAULT_IMAGE_SETTINGS)
  const annotation = ['a=b:c=d', 'index:x=y', 'manifest[linux/arm64],manifest-descriptor:k=', 'odd:=key=']
  expect(() => readImageSettings({ ...NOTHING, annotation })).toThrow('has no name')
  expect(readImageSettings({ ...NOTHING, annotation: annotation.slice(0, 3) }).annotations).toEqual([
    { place: 'manifest', platform: null, name: 'a', value: 'b:c=d' },
    { place: 'index', platform: null, name: 'x', value: 'y' },
    { place: 'manifest', platform: { os: 'linux', architecture: 'arm64' }, name: 'k', value: '' },
    { place: 'manifest-descriptor', platform: null, name: 'k', value: '' },
  ])
})

test.for<[object, object]>([
  [{ provenance: 'true' }, { provenance: MINIMAL, sbom: false }],
  [{ provenance: 'false' }, { provenance: null, sbom: false }],
  [{ provenance: 'mode=max' }, { provenance: { ...MINIMAL, mode: 'max' } }],
  [{ provenance: 'inline-only,filename=p.json' }, { provenance: { ...MINIMAL, inlineOnly: true, fileName: 'p.json' } }],
  [
    { provenance: 'mode=min,version=v1,builder-id=https://b,reproducible=true' },
    { provenance: { mode: 'min', version: 'v1', builderId: 'https://b', reproducible: true } },
  ],
  [{ attest: ['type=provenance,mode=max', 'type=sbom'] }, { provenance: { ...MINIMAL, mode: 'max' }, sbom: true }],
  [{ attest: ['type=provenance'], provenance: '0' }, { provenance: null }],
  [{ attest: ['type=sbom,disabled=true'] }, { sbom: false }],
  [{ sbom: '1' }, { sbom: true }],
])('attestations of %j', ([flags, expected]) => {
  expect(readImageSettings({ ...NOTHING, ...flags })).toMatchObject(expected)
})

test.for<[object, string]>([
  [{ annotation: ['novalue'] }, 'is not NAME=VALUE'],
  [{ annotation: ['nowhere:a=b'] }, 'has no place "nowhere"'],
  [{ annotation: ['manifest[atari]:a=b'] }, 'failed to parse platform atari'],
  [{ attest: ['type=vex'] }, 'is of type "vex"'],
  [{ provenance: 'mode=most' }, 'provenance mode "most" is unknown'],
  [{ provenance: 'version=v2' }, 'provenance version "v2" is unknown'],
  [{ provenance: 'filename=../x.json' }, 'no name of a JSON file'],
  [{ provenance: 'colour=red' }, 'unknown field "colour"'],
  [{ sbom: 'generator=x' }, 'unknown field "generator"'],
  [{ attest: ['type=sbom,disabled=maybe'] }, 'disabled is "maybe"'],
])('%j is a mistake', ([flags, message]) => {
  const read = () => readImageSettings({ ...NOTHING, ...flags })
  expect(read).toThrow(UsageError)
  expect(read).toThrow(message)
})

test('platforms come in lists, each once; without one it is this machine’s', () => {
  expect(readPlatforms([])).toEqual([hostPlatform()])
  expect(readPlatforms(['linux/amd64,linux/arm64', 'linux/arm/v7', 'amd64'])).toEqual([
    { os: 'linux', architecture: 'amd64' },
    { os: 'linux', architecture: 'arm64' },
    { os: 'linux', architecture: 'arm', variant: 'v7' },
  ])
  expect(() => readPlatforms(['vax'])).toThrow(UsageError)
})
