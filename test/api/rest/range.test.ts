import { expect, test } from 'vitest'
import { readRange } from '../../../api/rest/range.ts'

test.for<[string | undefined, number, object | string | null]>([
  [undefined, 10, null],
  ['bytes=0-3', 10, { first: 0, last: 3 }],
  ['bytes=9-', 10, { first: 9, last: 9 }],
  ['bytes=10-', 10, 'unsatisfiable'],
  ['bytes=-4', 10, { first: 6, last: 9 }],
  ['bytes=-40', 10, { first: 0, last: 9 }],
  ['bytes=-0', 10, 'unsatisfiable'],
  ['bytes=4-2', 10, null],
  ['bytes=-', 10, null],
  ['bytes=0-1,2-3', 10, null],
  ['lines=0-3', 10, null],
  ['bytes=0-', 0, 'unsatisfiable'],
  ['bytes=-1', 0, 'unsatisfiable'],
])('%s of %d bytes', ([header, sizeBytes, expected]) => {
  expect(readRange(header, sizeBytes)).toEqual(expected)
})
