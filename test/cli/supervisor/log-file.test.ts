import { mkdtempDisposable, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { LogFile } from '../../../cli/supervisor/log-file.ts'

test('a log is appended to, and moved aside once when it is full: two files are all there ever are', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-log-'))
  const path = join(dir.path, 'logs', 'api.log')
  for (let start = 0; start < 2; start++) {
    using log = new LogFile(path, 100)
    for (let line = 0; line < 20; line++) log.write(Buffer.from(`${start} line ${String(line).padStart(3, '0')}\n`))
    expect(await log.tail(2)).toBe(`${start} line 018\n${start} line 019`)
  }
  const { readdir } = await import('node:fs/promises')
  expect((await readdir(join(dir.path, 'logs'))).sort()).toEqual(['api.log', 'api.log.1'])
  const [old, now] = await Promise.all([readFile(`${path}.1`, 'utf8'), readFile(path, 'utf8')])
  expect(Math.max(old.length, now.length)).toBeLessThan(100 + 11)
  // No line is lost or doubled where the file changes.
  const lines = (old + now).trim().split('\n')
  const numbers = lines.map((line) => Number(line.slice(-3)))
  expect(numbers).toEqual(numbers.map((_, index) => 20 - numbers.length + index))
})

test('a log that cannot be written ends nothing', () => {
  using log = new LogFile('/dev/full')
  log.write(Buffer.from('lost\n'))
})
