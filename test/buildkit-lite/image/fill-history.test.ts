import { expect, test } from 'vitest'
import { fillHistory } from '../../../buildkit-lite/image/fill-history.ts'
import { LAYER_MEDIA_TYPES } from '../../../buildkit-lite/layers/compression.ts'
import type { PlannedHistory } from '../../../buildkit-lite/plan/plan.ts'
import { digestOf } from '../../../buildkit-lite/registry/fetch-manifest.ts'

const digest = digestOf(Buffer.from('x'))
const layer = { descriptor: { mediaType: LAYER_MEDIA_TYPES.gzip, digest, size: 1 }, diffId: digest }
const at = (second: number) => ({ layer, createdAtMs: second * 1000 })
const time = (second: number) => new Date(second * 1000).toISOString()

const base = (created: string): PlannedHistory => ({ entry: { created, created_by: 'base' }, step: null })
const meta = (text: string): PlannedHistory => ({ entry: { created_by: text, empty_layer: true }, step: null })
const step = (index: number): PlannedHistory => ({ entry: { created_by: `RUN ${index}` }, step: index })

test('entries before the first new layer have its time, later ones that of the layer before them', () => {
  const planned = [base('2020-01-01T00:00:00Z'), meta('ENV a=b'), step(3), meta('USER x'), step(5), meta('CMD y')]
  const stepLayers = new Map([
    [3, at(1_700_000_000)],
    [5, at(1_700_000_500)],
  ])
  const filled = fillHistory(planned, stepLayers)
  expect(filled.entries.map(({ created }) => created)).toEqual([
    '2020-01-01T00:00:00Z',
    time(1_700_000_000),
    time(1_700_000_000),
    time(1_700_000_000),
    time(1_700_000_500),
    time(1_700_000_500),
  ])
  expect(filled.layers).toEqual([layer, layer])
  expect(filled.created).toBe(time(1_700_000_500))
  expect(filled.entries.map(({ empty_layer }) => empty_layer ?? false)).toEqual([false, true, false, true, false, true])
})

test('the image is as new as its newest entry, in whatever order they are', () => {
  const filled = fillHistory([base('2030-01-01T00:00:00Z'), step(0)], new Map([[0, at(1_700_000_000)]]))
  expect(filled.created).toBe('2030-01-01T00:00:00Z')
})

test('an image in which nothing was made has no time of its own', () => {
  expect(fillHistory([meta('ENV a=b')], new Map())).toEqual({
    entries: [{ created_by: 'ENV a=b', empty_layer: true }],
    layers: [],
    created: null,
  })
})

test('a step without its layer is a fault of ours', () => {
  expect(() => fillHistory([step(1)], new Map())).toThrow(/no layer of step 1 \(RUN 1\)/)
})

test('a source date is the time of the image and of every new entry', () => {
  const planned = [base('2030-01-01T00:00:00Z'), meta('ENV a=b'), step(0)]
  const filled = fillHistory(planned, new Map([[0, at(1_700_000_000)]]), 1_600_000_000)
  const date = time(1_600_000_000)
  expect(filled.entries.map(({ created }) => created)).toEqual(['2030-01-01T00:00:00Z', date, date])
  expect(filled.created).toBe(date)
})
