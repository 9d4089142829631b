import { expect, test } from 'vitest'
import { allowedBytes, type Candidate, planRemovals } from '../../../buildkit-lite/disk/policy.ts'

const NOW = 1_000 * 86_400_000
const HOUR = 3_600_000
const GB = 1e9

function object(id: string, change: Partial<Candidate> & { hours?: number } = {}): Candidate {
  const { hours = 1, ...more } = change
  const fixed = { kind: 'blob' as const, id, sizeBytes: GB, inUse: false, parents: [], store: 0 }
  return { ...fixed, usedAtMs: NOW - hours * HOUR, ...more }
}
const idsOf = (objects: readonly Candidate[], allowed: number) =>
  planRemovals(objects, allowed, NOW).map(({ object }) => object.id)

const disk = { freeBytes: 500e9, totalBytes: 1000e9 }
test.for([
  ['100 GB of a large disk', {}, 50e9, disk, 100e9],
  ['80 % of a small one', {}, 1e9, { freeBytes: 100e9, totalBytes: 100e9 }, 80e9],
  ['no more than leaves 20 % free', {}, 50e9, { freeBytes: 10e9, totalBytes: 100e9 }, 40e9],
  ['10 % of it in any case', {}, 5e9, { freeBytes: 0, totalBytes: 60e9 }, 6e9],
  ['10 GB of a full large one', {}, 5e9, { freeBytes: 0, totalBytes: 1000e9 }, 10e9],
  ['what is given', { maxBytes: 7e9, minFreeBytes: 0 }, 50e9, disk, 7e9],
  ['less than is reserved, if that is given', { maxBytes: 1e9 }, 50e9, disk, 1e9],
  ['nothing', { keepNothing: true }, 50e9, disk, 0],
] as const)('allowed is %s', ([, limits, used, space, expected]) => {
  expect(allowedBytes(limits, used, space)).toBe(expected)
})

test('what was used longest ago goes, and no more than has to', () => {
  const objects = [object('new', { hours: 1 }), object('old', { hours: 9 }), object('older', { hours: 20 })]
  expect(idsOf(objects, 3 * GB)).toEqual([])
  expect(idsOf(objects, 2 * GB)).toEqual(['older'])
  expect(idsOf(objects, 1.5 * GB)).toEqual(['older', 'old'])
})

test('what is in use stays, whatever the limit', () => {
  const objects = [object('old', { hours: 900, inUse: true }), object('new')]
  expect(idsOf(objects, 0)).toEqual(['new'])
})

test('what is cheap to get again goes sooner than its age says', () => {
  const objects = [object('built', { hours: 40 }), object('fetched', { hours: 12, kind: 'download' })]
  expect(idsOf(objects, GB)).toEqual(['fetched'])
})

test('more than 512 MB of what is cheap goes without need once it is unused for 48 hours', () => {
  const cheap = { kind: 'cache-mount', sizeBytes: 400e6 } as const
  const objects = [
    object('oldest', { ...cheap, hours: 99 }),
    object('old', { ...cheap, hours: 70 }),
    object('mounted', { ...cheap, hours: 200, inUse: true }),
    object('new', { ...cheap, hours: 3 }),
    object('blob', { hours: 99 }),
  ]
  expect(idsOf(objects, 100 * GB)).toEqual(['oldest', 'old'])
  expect(idsOf([object('alone', { ...cheap, hours: 99 })], 100 * GB)).toEqual([])
})

test('beyond the limit what was not used for 60 days goes before what is cheap', () => {
  const objects = [
    object('fetched', { kind: 'download', sizeBytes: 1, hours: 47 * 24 }),
    object('ancient', { hours: 61 * 24 }),
  ]
  const removals = planRemovals(objects, 0.5 * GB, NOW)
  expect(removals.map(({ object, reason }) => [object.id, reason])).toEqual([['ancient', 'not used for 60 days']])
})

test('a snapshot goes after those that stand on it, and is used whenever they are', () => {
  const snapshot = { kind: 'snapshot' } as const
  const objects = [
    object('base', { ...snapshot, hours: 99 }),
    object('middle', { ...snapshot, hours: 50, parents: ['base'] }),
    object('top', { ...snapshot, hours: 5, parents: ['middle', 'base'] }),
    object('other', { ...snapshot, hours: 20 }),
  ]
  expect(idsOf(objects, 3 * GB)).toEqual(['other'])
  expect(idsOf(objects, 0)).toEqual(['other', 'top', 'middle', 'base'])
  const used = objects.map((one) => (one.id === 'top' ? { ...one, inUse: true } : one))
  expect(idsOf(used, 0)).toEqual(['other'])
})

test('objects of one name in two stores are two', () => {
  const objects = [
    object('x', { kind: 'snapshot', parents: ['y'] }),
    object('y', { hours: 50 }),
    object('y', { store: 1 }),
  ]
  expect(planRemovals(objects, 0, NOW).map(({ object }) => [object.store, object.id])).toEqual([
    [0, 'x'],
    [0, 'y'],
    [1, 'y'],
  ])
})

test('a hundred thousand objects are planned at once', () => {
  const objects = Array.from({ length: 100_000 }, (_, index) => object(`${index}`, { hours: index, sizeBytes: 1000 }))
  const plan = planRemovals(objects, 50e6, NOW)
  expect(plan).toHaveLength(50_000)
  expect(plan[0]?.object.id).toBe('99999')
})
