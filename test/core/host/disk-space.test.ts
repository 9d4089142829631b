import { expect, test } from 'vitest'
import { SlipwayError, SourceError } from '#domain/errors'
import { diskSpace, explainDiskFull, formatBytes, isDiskFull, isDiskFullError } from '#host/disk-space'
import { ExecError } from '#host/exec'

const enospc = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
const place = { file: 'Dockerfile', line: 3, excerpt: '>>> RUN x' }

test.for([
  ['the kernel’s error', enospc, true],
  ['one deep below', new SlipwayError('internal', 'x', { cause: new Error('y', { cause: enospc }) }), true],
  ['what a thread says', new SlipwayError('internal', 'ENOSPC: no space left on device, write'), true],
  ['what git says', new ExecError('git', { code: 128, signal: null }, 'fatal: No space left on device'), true],
  ['a step of that kind', new SourceError('disk-full', 'No space is left for RUN x', place), true],
  [
    'a program of the user’s that says so',
    new SourceError('step-failed', 'process "echo ENOSPC" failed', place),
    false,
  ],
  ['another error', new Error('EACCES'), false],
  ['nothing', undefined, false],
] as const)('a full disk is told from others: %s', ([, error, expected]) => {
  expect(isDiskFullError(error)).toBe(expected)
})

test('the error names the place, and what is free there', async () => {
  const { totalBytes } = await diskSpace('/tmp')
  const explained = await explainDiskFull(enospc, '/tmp')
  expect(explained).toMatchObject({ kind: 'disk-full', cause: enospc })
  expect((explained as Error).message).toMatch(
    /^No space is left on the disk: ENOSPC: no space .*; \/tmp has .* free without .*run slipway gc/,
  )
  expect((explained as Error).message).toContain(`of ${formatBytes(totalBytes)} free`)
  expect(await explainDiskFull(explained, '/tmp')).toBe(explained)
})

test('it still points at the Dockerfile; other errors stay as they are', async () => {
  const step = new SourceError('disk-full', 'No space is left for RUN x', place)
  expect(await explainDiskFull(step, '/tmp')).toMatchObject({ kind: 'disk-full', ...place })
  const other = new Error('x')
  expect(await explainDiskFull(other, '/tmp')).toBe(other)
})

test('a disk with space is not full, nor is one that is not there', async () => {
  expect(await isDiskFull('/tmp')).toBe(false)
  expect(await isDiskFull('/tmp/slip-nowhere')).toBe(false)
})

test.for([
  [0, '0 B'],
  [799, '799 B'],
  [800e6, '0.8 GB'],
  [2e9, '2 GB'],
  [64 * 1024 * 1024, '67.1 MB'],
  [1.5e12, '1.5 TB'],
] as const)('%d bytes are %s', ([bytes, text]) => {
  expect(formatBytes(bytes)).toBe(text)
})
