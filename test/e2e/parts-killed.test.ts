import { copyFile, mkdir, mkdtempDisposable, readdir, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Build } from '#domain/build'
import type { BuildEvent } from '#domain/build-event'
import { type RunningSlipway, startSlipway, until } from '../support/slipway.ts'

/** Parts of one running Slipway are killed while a build runs; whatever it is, the build comes to its end. */
describe('a part is killed in the middle of a build', () => {
  let slipway: RunningSlipway

  beforeAll(async () => {
    slipway = await startSlipway()
    await importBusybox(slipway)
  })
  afterAll(() => slipway?.[Symbol.asyncDispose]())

  const LINES = 16
  /** A build that prints a line every half a second, and its events as a page gets them. */
  async function startBuild(name: string) {
    const run = `for i in $(seq 1 ${LINES}); do echo line $i of ${name}; sleep 0.5; done`
    const repository = await slipway.repository(`check/${name}`, { Dockerfile: `FROM busybox\nRUN ${run}\n` })
    const pushing = repository.push().catch((error: Error) => error.message)
    const build = await until('the build to be queued', 30_000, async () => slipway.newest(`check/${name}`))
    const following = follow(slipway, build)
    const printed = (line: number) => slipway.sees(build, `line ${line} of ${name}`)
    return { name, build, pushing, following, printed }
  }

  async function expectWhole({ name, build, pushing, following }: Awaited<ReturnType<typeof startBuild>>) {
    const ended = await slipway.build(`check/${name}`, 1)
    const { events } = await following
    await pushing
    expect(ended).toMatchObject({ id: build.id, status: 'succeeded', error: null })
    expect(linesOf(events)).toEqual(Array.from({ length: ended.logLines }, (_, index) => index + 1))
    const raw = await slipway.api<string>('GET', `/api/v1/builds/${build.id}/log`)
    expect(raw.body.split('\n').length - 1).toBe(ended.logLines)
    expect(textOf(events)).toBe(raw.body)
    expect(events.filter((event) => event.kind === 'pushed')).toHaveLength(1)
    const tags = await slipway.api<{ tags: string[] }>('GET', `/v2/check/${name}/tags/list`)
    expect(tags.body.tags.sort()).toEqual([...ended.tags].sort())
    return ended
  }

  const whole = (name: string) => Array.from({ length: LINES }, (_, index) => `line ${index + 1} of ${name}\n`).join('')
  const kill = async (child: string, signal: NodeJS.Signals) => process.kill(await slipway.pidOf(child), signal)

  test('the API: the build goes on, and its reader goes on where it was', async () => {
    const started = await startBuild('api')
    await started.printed(4)
    await kill('api', 'SIGKILL')
    expect(await expectWhole(started)).toMatchObject({ attempt: 1 })
    const { events, connections } = await started.following
    expect(connections).toBeGreaterThan(1)
    expect(textOf(events)).toBe(whole('api'))
  })

  test('Redis: everybody is back by themselves, and nothing is built or pushed twice', async () => {
    const started = await startBuild('redis')
    await started.printed(4)
    await kill('redis', 'SIGKILL')
    expect(await expectWhole(started)).toMatchObject({ attempt: 1 })
    expect(textOf((await started.following).events)).toBe(whole('redis'))
    await until('everything to be ready', 20_000, async () => (await fetch(`${slipway.baseUrl}/readyz`)).ok)
  })

  test('the registry, right before the push: it is pushed when the registry is back', async () => {
    const started = await startBuild('registry')
    const first = await slipway.pidOf('registry')
    await started.printed(LINES - 4)
    await kill('registry', 'SIGKILL')
    await until('the registry to be back', 5000, async () => ![null, first].includes(await slipway.pidOf('registry')))
    await started.printed(LINES)
    // The second time it is away for a second, which is longer than the build takes from here to the push.
    await kill('registry', 'SIGKILL')
    const told = await until('/readyz to say so', 5000, async () => {
      const { status, body } = await slipway.api<{ parts: Record<string, { reason: string }> }>('GET', '/readyz')
      const reason = body.parts['child registry']?.reason
      // The registry is found away a moment before the supervisor is told that its child has ended.
      return status === 503 && reason?.startsWith('waiting') && reason
    })
    expect(told).toBe('waiting 1 s to start again, 2 restarts, last: killed by SIGKILL')
    expect(await expectWhole(started)).toMatchObject({ attempt: 1 })
  })

  test('the worker is asked to stop: it gives the build back, and the next one finishes it', async () => {
    const started = await startBuild('worker')
    await started.printed(4)
    await kill('worker', 'SIGTERM')
    expect(await expectWhole(started)).toMatchObject({ attempt: 2 })
    const { events } = await started.following
    expect(events.filter((event) => event.kind === 'worker-lost')).toMatchObject([{ reason: /worker was stopped/ }])
    expect(textOf(events).endsWith(whole('worker'))).toBe(true)
  })

  test('the worker, while it has files out: nothing of what it had is left on the disk', async () => {
    const repository = await slipway.repository('check/files', {
      Dockerfile:
        'FROM busybox\nCOPY . /files\nRUN --mount=type=bind,target=/here echo begun && sleep 4 && seq 1 9 > /made\n',
      'a/b': 'text\n',
    })
    const pushing = repository.push()
    const build = await until('the build to be queued', 30_000, async () => slipway.newest('check/files'))
    await slipway.sees(build, 'begun')
    expect(await passingFiles(slipway.dataDir)).not.toEqual([])
    await kill('worker', 'SIGKILL')
    expect(await slipway.build('check/files', 1)).toMatchObject({ status: 'succeeded', attempt: 2 })
    await pushing
    await expect.poll(() => passingFiles(slipway.dataDir), { timeout: 5000 }).toEqual([])
  })
})

/** What lies in the directories of things that no finished build needs. */
async function passingFiles(dataDir: string): Promise<string[]> {
  const scopes = await readdir(join(dataDir, 'snapshots', 'active'))
  const workspaces = scopes.map((scope) => `snapshots/active/${scope}`)
  const directories = ['checkouts', 'build-state/steps', 'blobs/staged', 'snapshots/trash', ...workspaces]
  const names = directories.map(async (directory) =>
    (await readdir(join(dataDir, directory)).catch(() => [])).map((name) => `${directory}/${name}`),
  )
  return (await Promise.all(names)).flat()
}

async function importBusybox(slipway: RunningSlipway): Promise<void> {
  await using root = await mkdtempDisposable(join(tmpdir(), 'slipway-root-'))
  await mkdir(join(root.path, 'bin'))
  await copyFile('/bin/busybox', join(root.path, 'bin', 'busybox'))
  for (const applet of ['sh', 'seq', 'sleep']) await symlink('busybox', join(root.path, 'bin', applet))
  await slipway.slipway('import', root.path, 'busybox')
}

/** Reads a build's events to their end, as a browser does: again from the last id whenever the connection ends. */
async function follow(
  slipway: RunningSlipway,
  { id }: Pick<Build, 'id'>,
): Promise<{ events: BuildEvent[]; connections: number }> {
  const events: BuildEvent[] = []
  let lastId = ''
  for (let connections = 1; ; connections++) {
    try {
      for await (const frame of framesOf(slipway, id, lastId)) {
        if (frame.event === 'eof') return { events, connections }
        events.push(JSON.parse(frame.data ?? '') as BuildEvent)
        lastId = frame.id ?? lastId
      }
    } catch {
      // Whoever answers has gone.
    }
    await sleep(200)
  }
}

async function* framesOf(slipway: RunningSlipway, id: string, lastId: string) {
  const response = await fetch(`${slipway.baseUrl}/api/v1/builds/${id}/events`, {
    headers: { authorization: `Bearer ${slipway.token}`, ...(lastId ? { 'last-event-id': lastId } : {}) },
  })
  if (!response.ok) throw new Error(`the events answer ${response.status}`)
  let rest = ''
  for await (const chunk of response.body ?? []) {
    const frames = (rest + Buffer.from(chunk).toString()).split('\n\n')
    rest = frames.pop() ?? ''
    for (const frame of frames) {
      const fields = Object.fromEntries(frame.split('\n').map((line) => line.split(/: (.*)/s)))
      if (fields.event) yield fields as { event: string; id?: string; data?: string }
    }
  }
}

const logsOf = (events: readonly BuildEvent[]) => events.filter((event) => event.kind === 'log' && !event.unfinished)

/** The numbers of all whole lines, in the order they came. */
function linesOf(events: readonly BuildEvent[]): number[] {
  return logsOf(events).flatMap((event) =>
    event.kind === 'log'
      ? event.text
          .split('\n')
          .slice(0, -1)
          .map((_, index) => event.firstLine + index)
      : [],
  )
}

function textOf(events: readonly BuildEvent[]): string {
  return logsOf(events)
    .map((event) => (event.kind === 'log' ? event.text : ''))
    .join('')
}
