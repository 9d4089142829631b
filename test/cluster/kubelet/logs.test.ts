import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { LogRequest } from '../../../cluster/contract.ts'
import type { Pod } from '../../../cluster/kinds.ts'
import { logPath, type OpenLogs } from '../../../cluster/kubelet/log-files.ts'
import { readLogs } from '../../../cluster/kubelet/log-reader.ts'
import { writeLog } from '../../../cluster/kubelet/log-writer.ts'

let dir: string
let openLogs: OpenLogs
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'slip-logs-'))
  openLogs = new Map()
})
afterEach(() => rm(dir, { recursive: true }))

const pod = (restartCount: number, state: object = { running: {} }, lastState?: object): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', namespace: 'default', uid: 'u' },
  spec: { containers: [{ name: 'c', image: 'i' }] },
  status: {
    containerStatuses: [
      { name: 'c', image: 'i', imageID: '', ready: true, restartCount, state, ...(lastState ? { lastState } : {}) },
    ],
  },
})
const whole: LogRequest = {
  container: 'c',
  follow: false,
  previous: false,
  timestamps: false,
  tailLines: null,
  sinceSeconds: null,
  sinceTime: null,
  limitBytes: null,
}

async function start(restart: number) {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const writer = await writeLog(logPath(dir, 'u', 'c', restart), { stdout, stderr }, openLogs)
  const end = async () => {
    stdout.end()
    stderr.end()
    await writer.done
  }
  return { stdout, stderr, end }
}

async function read(request: Partial<LogRequest>, of = pod(0), signal = AbortSignal.timeout(5000)): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of readLogs(dir, openLogs).read(of, { ...whole, ...request }, signal)) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

test('reads what was written, whole, by tail and by bytes', async () => {
  const log = await start(0)
  log.stdout.write('one\ntwo\nthr')
  log.stdout.write('ee\nfour without newline')
  await log.end()
  expect(await read({})).toBe('one\ntwo\nthree\nfour without newline\n')
  expect(await read({ tailLines: 2 })).toBe('three\nfour without newline\n')
  expect(await read({ tailLines: 0 })).toBe('')
  expect(await read({ tailLines: 9 })).toBe('one\ntwo\nthree\nfour without newline\n')
  expect(await read({ limitBytes: 6 })).toBe('one\ntw')
  expect(await read({ timestamps: true, tailLines: 1 })).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]{18}Z four without newline\n$/)
  expect(await read({ sinceTime: '2000-01-01T00:00:00Z', tailLines: 1 })).toBe('four without newline\n')
  expect(await read({ sinceTime: '2100-01-01T00:00:00Z' })).toBe('')
})

test('gives a line that spans entries back as one line', async () => {
  const log = await start(0)
  const long = 'x'.repeat(50_000)
  log.stdout.write(`${long}\nshort\n`)
  await log.end()
  expect(await read({})).toBe(`${long}\nshort\n`)
})

test('follows until the container ends', async () => {
  const log = await start(0)
  log.stdout.write('first\n')
  const following = read({ follow: true })
  log.stderr.write('second\n')
  log.stdout.write('third\n')
  await log.end()
  const text = await following
  expect(text.split('\n').sort()).toEqual(['', 'first', 'second', 'third'])
})

test('follows until the reader goes away', async () => {
  const log = await start(0)
  const controller = new AbortController()
  const following = read({ follow: true }, pod(0), controller.signal)
  controller.abort()
  expect(await following).toBe('')
  await log.end()
})

test('rotates, and reads and follows across the rotation', async () => {
  const log = await start(0)
  const following = read({ follow: true })
  const line = `${'y'.repeat(1023)}\n`
  for (let written = 0; written < 12_000; written += 100)
    if (!log.stdout.write(line.repeat(100))) await new Promise((resolve) => log.stdout.once('drain', resolve))
  await log.end()
  expect((await stat(logPath(dir, 'u', 'c', 0))).size).toBeLessThan(10 * 1024 * 1024)
  expect((await read({})).length).toBe(12_000 * 1024)
  expect((await following).length).toBe(12_000 * 1024)
  expect((await read({ tailLines: 11_000 })).length).toBe(11_000 * 1024)
})

test('reads the container before the restart', async () => {
  for (const restart of [0, 1]) {
    const log = await start(restart)
    log.stdout.write(`run ${restart}\n`)
    await log.end()
  }
  const ended = { terminated: { exitCode: 1 } }
  expect(await read({ previous: true }, pod(1, { running: {} }, ended))).toBe('run 0\n')
  expect(await read({ previous: true }, pod(1, { waiting: {} }, ended))).toBe('run 1\n')
  expect(await read({}, pod(1, { waiting: {} }, ended))).toBe('run 1\n')
})

test.for([
  [
    pod(0, { waiting: { reason: 'ImagePullBackOff' } }),
    {},
    'container "c" in pod "p" is waiting to start: ImagePullBackOff',
  ],
  [pod(0), { previous: true }, 'previous terminated container "c" in pod "p" not found'],
  [pod(0), { container: 'd' }, 'container "d" in pod "p" is not available'],
] as const)('says why there is no log: %#', async ([of, request, message]) => {
  await expect(read(request, of)).rejects.toMatchObject({ kind: 'not-found', message })
})
