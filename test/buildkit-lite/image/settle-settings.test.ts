import { expect, test } from 'vitest'
import { DEFAULT_IMAGE_SETTINGS, type ImageSettings } from '#buildkit-lite'
import { annotationsAt } from '../../../buildkit-lite/image/annotations.ts'
import { settle } from '../../../buildkit-lite/image/settle-settings.ts'

const annotation = { place: 'manifest' as const, platform: null, name: 'a', value: 'general' }
const zstd = { kind: 'zstd' as const, level: null, force: false }
const provenance = { mode: 'min' as const, version: 'v1' as const, builderId: '', reproducible: false }

test.for<[string, Partial<ImageSettings>, string[]]>([
  ['nothing', {}, []],
  ['zstd', { compression: zstd }, ['oci-mediatypes=false is ignored: Docker’s media types have no zstd']],
  [
    'annotations and attestations',
    { annotations: [annotation], provenance },
    ['oci-mediatypes=false is ignored: Docker’s media types have no annotations and attestations'],
  ],
])('Docker’s media types with %s', ([, change, notes]) => {
  const settled = settle({ ...DEFAULT_IMAGE_SETTINGS, ociMediaTypes: false, ...change }, null)
  expect(settled.notes).toEqual(notes)
  expect(settled.settings.ociMediaTypes).toBe(notes.length > 0)
})

test('times are rewritten only to a date that was given', () => {
  const settings = { ...DEFAULT_IMAGE_SETTINGS, rewriteTimestamp: true }
  expect(settle(settings, 0)).toEqual({ settings, notes: [] })
  expect(settle(settings, null)).toMatchObject({
    settings: { rewriteTimestamp: false },
    notes: ['rewrite-timestamp has no effect: give the time with --build-arg SOURCE_DATE_EPOCH=SECONDS'],
  })
})

test('annotations that name the platform win', () => {
  const arm64 = { os: 'linux', architecture: 'arm64' }
  const annotations = [{ ...annotation, platform: arm64, value: 'special' }, annotation]
  expect(annotationsAt({ annotations }, 'manifest', arm64)).toEqual({ a: 'special' })
  expect(annotationsAt({ annotations }, 'manifest', { os: 'linux', architecture: 'amd64' })).toEqual({ a: 'general' })
  expect(annotationsAt({ annotations }, 'index', null)).toEqual({})
})
