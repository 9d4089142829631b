import { expect, test } from 'vitest'
import { missReason } from '../../../buildkit-lite/solver/miss-reason.ts'

const components = (entries: Record<string, string>) =>
  Object.entries(entries).map(([name, digest]) => ({ name, digest }))
const before = { parent: '1', 'RUN command': '1', 'file a': '1', 'file b': '1' }

test.for<[string, Record<string, string> | null, Record<string, string>, string]>([
  ['nothing is known', null, before, 'not built before'],
  ['a file changed', before, { ...before, 'file a': '2' }, 'a changed'],
  ['a file is new', before, { ...before, 'file c': '1' }, 'c was added'],
  ['a file is gone', before, { parent: '1', 'RUN command': '1', 'file a': '1' }, 'b was removed'],
  [
    'many files changed',
    {},
    { 'file a': '1', 'file b': '1', 'file c': '1', 'file d': '1', 'file e': '1' },
    'a, b, c and 2 more were added',
  ],
  [
    'the command and what is before it changed',
    before,
    { ...before, parent: '2', 'RUN command': '2' },
    'RUN command changed',
  ],
  ['only what is before it changed', before, { ...before, parent: '2' }, 'an earlier step changed'],
  [
    'the image below changed',
    { ...before, 'FROM debian:12': '1' },
    { ...before, parent: '2', 'FROM debian:12': '2' },
    'FROM debian:12 has another digest',
  ],
  [
    'another image is below',
    { ...before, 'FROM debian:11': '1' },
    { ...before, parent: '2', 'FROM debian:12': '2' },
    'FROM debian:12 instead of debian:11',
  ],
  ['a variable is new', before, { ...before, 'ENV A': '1', 'order of variables': '1' }, 'ENV A was added'],
  [
    'variables stand in another order',
    { ...before, 'order of variables': '1' },
    { ...before, 'order of variables': '2' },
    'the order of variables changed',
  ],
  ['a part is gone', before, { parent: '1', 'file a': '1', 'file b': '1' }, 'RUN command was removed'],
  ['nothing changed', before, before, 'its result is no longer stored'],
])('%s', ([, old, now, reason]) => {
  expect(missReason(components(now), old && components(old))).toBe(reason)
})
