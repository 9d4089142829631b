import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Plan, SolveEvent } from '#buildkit-lite'
import { createProgress } from '../../cli/create-progress.ts'
import type { Progress } from '../../cli/progress.ts'
import { createTerminalView } from '../../cli/progress-tty.ts'
import { Screen } from './screen.ts'

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2030, 0, 1) })
})
afterEach(() => {
  vi.useRealTimers()
})

function planOf(titles: readonly string[]): Plan {
  return {
    steps: titles.map((title) => ({
      stage: 'stage-0',
      title,
      line: 1,
      operation: { kind: 'workdir' as const, input: null, path: '/', user: '' },
    })),
    target: {
      fileSystem: 0,
      config: { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [] } },
      history: [],
    },
    sourceDateEpoch: null,
    warnings: [],
  }
}

function open({ columns = 50, rows = 24, colors = false } = {}): { screen: Screen; progress: Progress } {
  const screen = new Screen(columns, rows)
  const now = (): number => Date.now()
  const view = createTerminalView({ output: screen, now, colors })
  return { screen, progress: createProgress(view, now, new AbortController().signal) }
}

const started = (step: number, missReason: string | null = null): SolveEvent => ({
  kind: 'step-started',
  step,
  missReason,
})
const print = (step: number, text: string): SolveEvent => ({
  kind: 'output',
  step,
  stream: 'stdout',
  bytes: Buffer.from(text),
})
const ended = (step: number, kind: 'cached' | 'done' | 'cancelled'): SolveEvent => ({
  kind: 'step-finished',
  step,
  outcome: { kind },
})

test('a build goes by: a line for each step, what the running one prints, and in the end everything', async () => {
  const { screen, progress } = open()
  await progress.during('[internal] load build definition', async (tell) => tell('reading dockerfile: 61B'))
  await progress.show({ kind: 'planned', plan: planOf(['FROM a', 'RUN make', 'COPY . .']) })
  await progress.show(ended(0, 'cached'))
  await progress.show(started(1, 'RUN command changed'))
  await progress.show(print(1, 'one\ntwo\nthree\nfour\nfive\nsix\nseven\n10%\r20%'))
  await vi.advanceTimersByTimeAsync(1250)
  expect(screen.text).toEqual([
    '[+] Building 1.2s (2/4)',
    ' => [internal] load build definition          0.0s',
    ' => => reading dockerfile: 61B',
    ' => CACHED [1/3] FROM a                       0.0s',
    ' => [2/3] RUN make                            1.2s',
    ' => => not cached: RUN command changed',
    ' => => # three',
    ' => => # four',
    ' => => # five',
    ' => => # six',
    ' => => # seven',
    ' => => # 20%',
  ])
  expect(screen.hasCursor).toBe(false)
  await progress.show(ended(1, 'done'))
  await progress.show(started(2))
  await progress.show({
    kind: 'step-finished',
    step: 2,
    outcome: { kind: 'failed', error: 'context-invalid', message: 'not found', exitCode: null },
  })
  await progress.close()
  expect(screen.text).toEqual([
    '[+] Building 1.3s (4/4) FINISHED',
    ' => [internal] load build definition          0.0s',
    ' => => reading dockerfile: 61B',
    ' => CACHED [1/3] FROM a                       0.0s',
    ' => [2/3] RUN make                            1.3s',
    ' => => not cached: RUN command changed',
    ' => ERROR [3/3] COPY . .                      0.0s',
  ])
  expect(screen.hasCursor).toBe(true)
})

test('steps that were stopped say so', async () => {
  const { screen, progress } = open()
  await progress.show({ kind: 'planned', plan: planOf(['RUN sleep']) })
  await progress.show(started(0))
  await progress.show(ended(0, 'cancelled'))
  await progress.close()
  expect(screen.text[1]).toBe(' => CANCELED [1/1] RUN sleep                  0.0s')
})

test('there are 20 pictures a second at most, and none where nothing changes', async () => {
  const { screen, progress } = open()
  await progress.show({ kind: 'planned', plan: planOf(['RUN a', 'RUN b']) })
  await progress.show(started(0))
  for (let at = 0; at < 1000; at++) {
    await progress.show(print(0, `${at}\n`))
    await vi.advanceTimersByTimeAsync(1)
  }
  expect(screen.frames).toBeGreaterThan(8)
  expect(screen.frames).toBeLessThanOrEqual(21)
  await progress.show(ended(0, 'done'))
  await vi.advanceTimersByTimeAsync(500)
  const before = screen.frames
  await vi.advanceTimersByTimeAsync(5000)
  expect(screen.frames).toBe(before)
  await progress.close()
})

test('long names are cut, wide characters count twice, and a narrow terminal is enough', async () => {
  const { screen, progress } = open({ columns: 30 })
  await progress.show({ kind: 'planned', plan: planOf(['RUN echo 0123456789 0123456789', 'RUN 漢字漢字漢字漢字漢字']) })
  await progress.show(started(0))
  await progress.show(started(1))
  await progress.show(print(0, `${'x'.repeat(100)}\n`))
  await vi.advanceTimersByTimeAsync(100)
  expect(screen.text).toEqual([
    '[+] Building 0.1s (0/2)',
    ' => [1/2] RUN echo 012... 0.1s',
    ` => => # ${'x'.repeat(18)}...`,
    expect.stringMatching(/^ => \[2\/2\] RUN 漢字漢字?\.\.\. +0\.1s$/),
  ])
  screen.resize(7, 10)
  await vi.advanceTimersByTimeAsync(100)
  expect(screen.text.slice(0, 2)).toEqual(['[+] ...', ' => ...'])
  await progress.close()
})

test('a terminal that becomes narrower or wider shows no part of a picture twice', async () => {
  const { screen, progress } = open({ columns: 60 })
  await progress.show({ kind: 'planned', plan: planOf(['RUN something that is long enough to be broken']) })
  await progress.show(started(0))
  await vi.advanceTimersByTimeAsync(100)
  for (const columns of [41, 80, 33]) {
    screen.resize(columns, 24)
    await vi.advanceTimersByTimeAsync(100)
    expect(screen.text).toHaveLength(2)
    expect(screen.text[0]).toMatch(/^\[\+\] Building/)
    expect(screen.text[1]).toHaveLength(columns)
  }
  await progress.close()
})

test('where room is short old steps are one line and running ones share what is left', async () => {
  const { screen, progress } = open({ rows: 9 })
  const titles = Array.from({ length: 12 }, (_, index) => `RUN ${index}`)
  await progress.show({ kind: 'planned', plan: planOf(titles) })
  for (let at = 0; at < 10; at++) await progress.show(ended(at, at < 3 ? 'cached' : 'done'))
  for (const at of [10, 11]) {
    await progress.show(started(at))
    await progress.show(print(at, 'a\nb\nc\n'))
  }
  await vi.advanceTimersByTimeAsync(100)
  expect(screen.text).toEqual([
    '[+] Building 0.1s (10/12)',
    ' => (6 steps done, 3 of them cached)',
    ...['7', '8', '9', '10'].map((number) => expect.stringMatching(`^ => \\[ ?${number}/12\\] RUN`)),
    expect.stringMatching(/^ => \[11\/12\] RUN 10 .* 0\.1s$/),
    expect.stringMatching(/^ => \[12\/12\] RUN 11 .* 0\.1s$/),
  ])
  await progress.close()
  expect(screen.text).toHaveLength(13)
})

test('more running steps than lines are counted', async () => {
  const { screen, progress } = open({ rows: 6 })
  await progress.show({ kind: 'planned', plan: planOf(Array.from({ length: 8 }, (_, index) => `RUN ${index}`)) })
  for (let at = 0; at < 8; at++) await progress.show(started(at))
  await vi.advanceTimersByTimeAsync(100)
  expect(screen.text).toHaveLength(5)
  expect(screen.text.at(-1)).toBe(' => (5 more)')
  await progress.close()
})

test('what steps print cannot move the cursor, set titles or hide text; colours pass unless they are not wanted', async () => {
  for (const colors of [true, false]) {
    const { screen, progress } = open({ columns: 60, colors })
    await progress.show({ kind: 'planned', plan: planOf(['RUN \u001b[2Jx']) })
    await progress.show(started(0))
    const hostile = [
      '\u001b]0;title\u0007a',
      '\u001b[2J\u001b[10Ab',
      '\u009b5Ac\u0008\u0007',
      '\u001bcd',
      'e\tf',
      '\u202eg\u001b',
    ]
    await progress.show(print(0, `${hostile.join('\n')}\n\u001b[31mred\u001b[0m`))
    await vi.advanceTimersByTimeAsync(100)
    expect(screen.text.slice(1)).toEqual([
      ` => [1/1] RUN x${' '.repeat(40)} 0.1s`,
      ...['b', 'c', 'd', 'e       f', 'g', 'red'].map((text) => ` => => # ${text}`),
    ])
    expect(screen.colors.includes('31')).toBe(colors)
    await progress.close()
    if (!colors) expect(screen.colors).toEqual([])
  }
})
