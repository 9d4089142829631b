import { statSync } from 'node:fs'
import { expect, test } from 'vitest'
import { SlipwayError, SourceError } from '#domain/errors'
import type { PlanStep } from '../../../buildkit-lite/plan/plan.ts'
import { failedOutcome, locateError } from '../../../buildkit-lite/solver/step-errors.ts'

const source = { name: 'Dockerfile', text: 'FROM base\nRUN make\n' }
const operation = { kind: 'workdir' as const, input: null, path: '/', user: '' }
const step: PlanStep = { stage: 'stage-0', title: 'RUN make', line: 2, operation }

test.for([
  'step-failed',
  'internal',
  'disk-full',
  'pull-denied',
  'registry-unavailable',
  'source-unavailable',
] as const)('a step that ends with %s shows its line', (kind) => {
  const located = locateError(new SlipwayError(kind, 'It went wrong'), step, source)
  expect(located).toBeInstanceOf(SourceError)
  expect(located).toMatchObject({ kind, message: 'It went wrong', file: 'Dockerfile', line: 2 })
  expect((located as SourceError).excerpt).toContain('2 | >>> RUN make')
  expect(failedOutcome(located)).toMatchObject({ kind: 'failed', error: kind })
})

test('what the caller did wrong is the step’s failure, and a full disk says which step found it so', () => {
  expect(locateError(new SlipwayError('invalid', 'no'), step, source)).toMatchObject({ kind: 'step-failed', line: 2 })
  const full = Object.assign(new Error('write'), { code: 'ENOSPC' })
  expect(locateError(full, step, source)).toMatchObject({
    kind: 'disk-full',
    message: 'No space is left for RUN make',
    line: 2,
  })
})

test.for([
  new SlipwayError('cancelled', 'by a person'),
  new SlipwayError('timed-out', 'after an hour'),
  new TypeError('our own fault'),
])('%s has no place in the Dockerfile', (error) => {
  expect(locateError(error, step, source)).toBe(error)
})

test.for<[string, string]>([
  ['n'.repeat(256), 'file name too long: a name may have 255 bytes'],
  ['with\0nul', 'a path has a NUL byte in it'],
])('a name that no file can have is the step’s failure, without where we keep files', ([name, message]) => {
  let error: unknown
  try {
    statSync(Buffer.from(`/tmp/${name}`))
  } catch (thrown) {
    error = thrown
  }
  const located = locateError(error, step, source)
  expect(located).toMatchObject({ kind: 'step-failed', line: 2, message: expect.stringContaining(message) })
  expect((located as Error).message).not.toContain('/tmp')
})
