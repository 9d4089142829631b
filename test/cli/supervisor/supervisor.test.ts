import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { exited, spawn } from '#host/exec'
import type { ChildSpec } from '../../../cli/supervisor/child.ts'
import { type ChildState, untilEarlierChildrenEnd } from '../../../cli/supervisor/child-states.ts'
import { startTimeOf } from '../../../cli/supervisor/start-time.ts'
import { GRACE_MS, Supervisor } from '../../../cli/supervisor/supervisor.ts'

let dir: Awaited<ReturnType<typeof mkdtempDisposable>>
beforeEach(async () => {
  dir = await mkdtempDisposable(join(tmpdir(), 'slip-up-'))
  const { mkdir } = await import('node:fs/promises')
  await mkdir(join(dir.path, 'run'))
})
afterEach(() => dir.remove())

const never = new AbortController().signal
const shell = (name: string, script: string, more: Partial<ChildSpec> = {}): ChildSpec => ({
  name,
  command: ['sh', '-c', script],
  cwd: dir.path,
  wrapped: false,
  ...more,
})

async function states(): Promise<ChildState[]> {
  const text = await readFile(join(dir.path, 'run', 'children.json'), 'utf8').catch(() => '[]')
  return JSON.parse(text) as ChildState[]
}

test('a child that dies is started again, after a pause that grows and is told', async () => {
  await using supervisor = new Supervisor(dir.path)
  await supervisor.start(shell('api', 'echo once >> runs; sleep 0.1; exit 3'), never)
  const waiting = (restarts: number) => ({
    name: 'api',
    state: 'waiting',
    pid: null,
    lastExit: 'exit code 3',
    restarts,
  })
  const seen = () => states().then(([api]) => api)
  await expect.poll(seen, { timeout: 5000, interval: 20 }).toMatchObject({ ...waiting(1), delayMs: 500 })
  await expect.poll(seen, { timeout: 5000, interval: 20 }).toMatchObject({ ...waiting(2), delayMs: 1000 })
  expect((await readFile(join(dir.path, 'runs'), 'utf8')).split('\n')).toHaveLength(3)
})

test('a child that was started again is running only once it can be used', async () => {
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let starts = 0
  const ready = () => gates[starts++]?.promise ?? Promise.resolve()
  await using supervisor = new Supervisor(dir.path)
  const started = supervisor.start(shell('redis', 'exec sleep 60', { ready }), never)
  const seen = () => states().then(([redis]) => redis?.state)
  await expect.poll(seen).toBe('starting')
  gates[0]?.resolve()
  await started
  await expect.poll(seen).toBe('running')
  const [before] = await states()
  process.kill(before?.pid ?? 0, 'SIGKILL')
  await expect.poll(async () => (await states())[0]?.pid, { timeout: 5000 }).not.toBe(before?.pid)
  await expect.poll(seen, { timeout: 5000 }).toBe('starting')
  gates[1]?.resolve()
  await expect.poll(seen).toBe('running')
  expect(await states()).toMatchObject([{ restarts: 1, lastExit: 'killed by SIGKILL' }])
})

test('a first start that fails tells the end of the log, all of it', async () => {
  await using supervisor = new Supervisor(dir.path)
  const script = 'seq 1 20000; echo the last word >&2; exit 7'
  const failing = supervisor.start(shell('registry', script, { ready: () => new Promise(() => {}) }), never)
  const error = await failing.then(
    () => null,
    (reason: Error) => reason,
  )
  expect(error?.message).toMatch(/^registry ended at its start: exit code 7\. The end of .*registry\.log:/)
  expect(error?.message).toContain('\n20000\n')
  expect(error?.message).toContain('the last word')
})

test('a program that is missing is told as such, at the start and later', async () => {
  await using supervisor = new Supervisor(dir.path)
  const nothing: ChildSpec = {
    ...shell('x', ''),
    command: ['/nonexistent/program'],
    ready: () => new Promise(() => {}),
  }
  await expect(supervisor.start(nothing, never)).rejects.toThrow(/nonexistent/)
  const nowhere = { ...shell('y', 'exit 0'), cwd: join(dir.path, 'gone'), ready: () => new Promise<void>(() => {}) }
  await expect(supervisor.start(nowhere, never)).rejects.toThrow(/could not be started/)
})

test('the end of a child that was ready is told while the others start', async () => {
  await using supervisor = new Supervisor(dir.path)
  await supervisor.start(shell('worker', 'echo no license; exit 2'), never)
  await expect(supervisor.firstEnd).rejects.toThrow(/worker ended: exit code 2\. The end of .*:\nno license/)
})

test('children are asked to stop, those that are used after those that use them', async () => {
  {
    await using supervisor = new Supervisor(dir.path)
    const noting = (name: string) =>
      `trap 'echo ${name} >> ended; exit' TERM; touch ${name}; while :; do sleep 0.05; done`
    const ready = (name: string) => async () => {
      await expect.poll(() => readFile(join(dir.path, name))).toBeDefined()
    }
    for (const name of ['redis', 'api'])
      await supervisor.start(shell(name, noting(name), { ready: ready(name) }), never)
  }
  expect(await readFile(join(dir.path, 'ended'), 'utf8')).toBe('api\nredis\n')
  expect(await states()).toEqual([])
})

test('children that ignore SIGTERM are killed after their grace, all of which is less than 15 s', async () => {
  const pids: number[] = []
  expect(GRACE_MS.roles + GRACE_MS.servers).toBeLessThan(14_000)
  {
    await using supervisor = new Supervisor(dir.path, { roles: 200, servers: 100 })
    for (const name of ['redis', 'worker']) {
      const deaf = `trap '' TERM; touch ${name}; while :; do sleep 0.05; done`
      const ready = async () => {
        await expect.poll(() => readFile(join(dir.path, name))).toBeDefined()
      }
      await supervisor.start(shell(name, deaf, { ready }), never)
    }
    await expect.poll(async () => (await states()).length).toBe(2)
    pids.push(...(await states()).map(({ pid }) => pid ?? 0))
  }
  expect(pids.map(startTimeOf)).toEqual([null, null])
})

test('children of a killed supervisor are waited for, and killed if they stay', async () => {
  const child = spawn('sh', ['-c', "trap '' TERM; while :; do sleep 0.05; done"])
  const pid = child.pid ?? 0
  const file = join(dir.path, 'run', 'children.json')
  const write = (startTime: string) => writeFile(file, JSON.stringify([{ pid, startTime }]))
  // Another process has the pid by now.
  await write('1')
  await untilEarlierChildrenEnd(dir.path, 0)
  expect(child.exitCode).toBeNull()
  await write(startTimeOf(pid) ?? '')
  const ended = exited(child)
  await untilEarlierChildrenEnd(dir.path, 100)
  expect(await ended).toEqual({ code: null, signal: 'SIGKILL' })
  for (const text of ['', '{', '[{}]']) {
    await writeFile(file, text)
    await untilEarlierChildrenEnd(dir.path, 0)
  }
})
