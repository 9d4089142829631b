import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { applyBuildEvent, type BuildEvent, newBuild } from '#domain/build-event'
import { StepId } from '#domain/ids'
import { maskOf } from '../../workers/mask-secrets.ts'
import { Reporter, type ReporterOptions } from '../../workers/reporter.ts'

const one = StepId.parse('stp_00000001')
const two = StepId.parse('stp_00000002')

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function start(options: Partial<ReporterOptions> = {}) {
  const events: BuildEvent[] = []
  const batches: number[] = []
  const reporter = new Reporter({
    append: async (batch) => {
      batches.push(batch.length)
      events.push(...batch)
    },
    mask: maskOf([]),
    firstLine: 1,
    now: () => Date.now(),
    onFailure: () => {},
    ...options,
  })
  const lines = () =>
    events.flatMap((event) =>
      event.kind === 'log' ? [[event.firstLine, event.text, ...(event.unfinished ? ['unfinished'] : [])]] : [],
    )
  return { reporter, events, batches, lines }
}

test('bytes cut anywhere become the same whole lines', async () => {
  const bytes = Buffer.from('grün ✔ 🚢\r\nzweite\n\nlast')
  for (let size = 1; size <= bytes.length; size++) {
    const { reporter, lines } = start()
    for (let at = 0; at < bytes.length; at += size) await reporter.output(one, 'stdout', bytes.subarray(at, at + size))
    reporter.endStep(one)
    await reporter.drain()
    expect(lines()).toEqual([[1, 'grün ✔ 🚢\nzweite\n\nlast\n']])
  }
})

test('lines of several streams have one numbering, and keep it', async () => {
  const { reporter, lines } = start({ firstLine: 8 })
  await reporter.output(one, 'stdout', Buffer.from('a\nb'))
  await reporter.output(two, 'stderr', Buffer.from('c\n'))
  await reporter.output(one, 'stdout', Buffer.from('\nd\n'))
  reporter.system('e', one)
  await reporter.drain()
  expect(lines()).toEqual([
    [8, 'a\n'],
    [9, 'c\n'],
    [10, 'b\nd\n'],
    [12, 'e\n'],
  ])
})

test('a batch waits 50 ms for company', async () => {
  const { reporter, batches, lines } = start()
  await reporter.output(one, 'stdout', Buffer.from('a\n'))
  await vi.advanceTimersByTimeAsync(40)
  await reporter.output(one, 'stdout', Buffer.from('b\n'))
  expect(batches).toEqual([])
  await vi.advanceTimersByTimeAsync(10)
  expect(batches).toEqual([1])
  expect(lines()).toEqual([[1, 'a\nb\n']])
})

test('a line without an end is shown after a second, and gets its number when it ends', async () => {
  const { reporter, lines, events } = start()
  await reporter.output(one, 'stdout', Buffer.from('password: '))
  await reporter.output(two, 'stdout', Buffer.from('x\n'))
  await vi.advanceTimersByTimeAsync(1100)
  await reporter.output(two, 'stdout', Buffer.from('y\n'))
  await vi.advanceTimersByTimeAsync(1100)
  await reporter.output(one, 'stdout', Buffer.from('asked\nnext\n'))
  await reporter.drain()
  expect(lines()).toEqual([
    [1, 'x\n'],
    [2, 'password: \n', 'unfinished'],
    [2, 'y\n'],
    [3, 'password: \n', 'unfinished'],
    [3, 'password: asked\nnext\n'],
  ])
  const order = { number: 1 } as Parameters<typeof newBuild>[0]
  expect(events.reduce(applyBuildEvent, newBuild(order, 0)).logLines).toBe(4)
})

test('the nth whole line is line n, however streams, previews and ends mix', async () => {
  const { reporter, events } = start()
  for (let round = 0; round < 40; round++) {
    const step = round % 3 === 0 ? one : two
    await reporter.output(step, round % 2 ? 'stdout' : 'stderr', Buffer.from(`${round}${round % 5 ? '' : '\n'}`))
    await vi.advanceTimersByTimeAsync(round % 4 === 0 ? 1100 : 10)
    if (round % 11 === 0) reporter.endStep(step)
    if (round % 13 === 0) reporter.system('said', two)
  }
  reporter.endStep(one)
  reporter.endStep(two)
  await reporter.drain()
  let next = 1
  let previews = 0
  for (const event of events) {
    if (event.kind !== 'log') continue
    expect(event.firstLine).toBe(next)
    if (event.unfinished) previews++
    else next += event.text.split('\n').length - 1
  }
  expect(previews).toBeGreaterThan(5)
})

test('a line that grows for ever is not shown again and again', async () => {
  const { reporter, lines } = start()
  for (let second = 0; second < 60; second++) {
    await reporter.output(one, 'stdout', Buffer.from('.'.repeat(1000)))
    await vi.advanceTimersByTimeAsync(1100)
  }
  expect(lines().length).toBeLessThan(5)
})

test('a progress bar is shown as it is now', async () => {
  const { reporter, lines } = start()
  await reporter.output(one, 'stdout', Buffer.from('10%\r'))
  await reporter.output(one, 'stdout', Buffer.from('50%'))
  await vi.advanceTimersByTimeAsync(1100)
  expect(lines()).toEqual([[1, '50%\n', 'unfinished']])
})

test('secrets are masked, cut anywhere and in previews', async () => {
  for (let cut = 1; cut < 12; cut++) {
    const { reporter, lines } = start({ mask: maskOf(['secret-value']) })
    await reporter.output(one, 'stdout', Buffer.from(`a ${'secret-value'.slice(0, cut)}`))
    await vi.advanceTimersByTimeAsync(1100)
    await reporter.output(one, 'stdout', Buffer.from(`${'secret-value'.slice(cut)} b\n`))
    await reporter.drain()
    expect(lines()).toEqual([
      [1, 'a \n', 'unfinished'],
      [1, 'a *** b\n'],
    ])
  }
})

test('a line that never ends is cut, and not within a secret', async () => {
  const { reporter, lines } = start({ mask: maskOf(['secret-value']) })
  const text = `${'x'.repeat(64 * 1024 - 6)}secret-value${'y'.repeat(64 * 1024)}`
  await reporter.output(one, 'stdout', Buffer.from(text))
  reporter.endStep(one)
  await reporter.drain()
  const all = lines()
    .map(([, line]) => String(line))
    .join('')
  expect(all.replaceAll('\n', '')).toBe(text.replace('secret-value', '***'))
  expect(Math.max(...all.split('\n').map((line) => line.length))).toBeLessThanOrEqual(64 * 1024)
})

test('a log past its limit ends with a notice', async () => {
  const { reporter, lines } = start({ logLimitBytes: 10 })
  await reporter.output(one, 'stdout', Buffer.from('12345678\n'))
  for (let index = 0; index < 3; index++) await reporter.output(one, 'stdout', Buffer.from('more\n'))
  await reporter.drain()
  expect(lines()).toEqual([
    [1, '12345678\n'],
    [2, expect.stringContaining('limit of 10 bytes')],
  ])
})

test('a slow store holds the writer back, with one append at a time', async () => {
  const gates: PromiseWithResolvers<void>[] = []
  const { reporter } = start({
    append: () => {
      gates.push(Promise.withResolvers<void>())
      return gates.at(-1)!.promise
    },
  })
  const progress = { written: 0 }
  const writing = (async () => {
    for (let index = 0; index < 40; index++) {
      await reporter.output(one, 'stdout', Buffer.from(`${'z'.repeat(32 * 1024 - 1)}\n`))
      progress.written++
    }
  })()
  await vi.advanceTimersByTimeAsync(1000)
  expect(gates).toHaveLength(1)
  expect(progress.written).toBeLessThan(20)
  while (progress.written < 40) {
    gates.at(-1)!.resolve()
    await vi.advanceTimersByTimeAsync(100)
  }
  gates.at(-1)!.resolve()
  await writing
})

test('a store that fails is told once, and to everybody who writes or waits after it', async () => {
  const failures: unknown[] = []
  const lost = new Error('lost')
  const { reporter } = start({
    append: async () => {
      throw lost
    },
    onFailure: (error) => failures.push(error),
  })
  await reporter.output(one, 'stdout', Buffer.from('a\n'))
  await vi.advanceTimersByTimeAsync(100)
  await expect(reporter.output(one, 'stdout', Buffer.from('b\n'))).rejects.toBe(lost)
  await expect(reporter.drain()).rejects.toBe(lost)
  expect(failures).toEqual([lost])
})

test('other events keep their place among the lines', async () => {
  const { reporter, events } = start()
  await reporter.output(one, 'stdout', Buffer.from('a\n'))
  reporter.event({ kind: 'step-started', atMs: 0, step: two, missReason: null })
  await reporter.output(one, 'stdout', Buffer.from('b\n'))
  await reporter.drain()
  expect(events.map((event) => event.kind)).toEqual(['log', 'step-started', 'log'])
})
