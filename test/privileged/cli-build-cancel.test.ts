import { globSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from '../../core/host/exec.ts'
import { Bench } from './cli.ts'

/** Does not end by itself, nor when it is asked to. */
const STUBBORN = `FROM base
RUN --mount=type=cache,target=/c --mount=type=secret,id=s echo is-running; trap '' INT TERM; while :; do sleep 1; done
`
const NOISY = 'FROM base\nRUN while :; do echo noise; sleep 0.1; done\n'
const LARGE = 'FROM base\nRUN head -c 3000000 /dev/zero > /large\n'
const FLAGS = ['--no-cache', '--secret', 'id=s,env=HOME', '-f', 'context/stubborn']

let bench: Bench
beforeAll(async () => {
  bench = await Bench.open()
  await bench.write({ stubborn: STUBBORN, noisy: NOISY, large: LARGE, Dockerfile: 'FROM base\nRUN true\n' })
})
afterAll(async () => {
  await bench[Symbol.asyncDispose]()
})

/** Names of everything that this data directory's sandbox has on the machine at the moment. */
async function traces(): Promise<string[]> {
  const [id = 'none'] = await readdir(join(bench.dataDir, 'sandbox'))
  const { stdout: tables } = await run('nft', ['list', 'tables'])
  const { stdout: links } = await run('ip', ['-o', 'link'])
  const groups = globSync(`/sys/fs/cgroup/**/cli-*-${id}`)
  const named = [...tables.toString().split('\n'), ...links.toString().split('\n'), ...groups]
  return [...named.filter((line) => line.includes(id)), ...(await bench.leftovers()).filter((line) => line !== id)]
}

test.for<[string, 'plain' | 'tty']>([
  ['Ctrl-C at a terminal that shows plain progress', 'plain'],
  ['Ctrl-C at a terminal that shows a picture', 'tty'],
])('%s ends the build, and nothing of it is left', async ([, form]) => {
  const building = bench.start([...FLAGS, '--progress', form], { terminal: true })
  await building.until(/(?:\d |# )is-running/)
  expect((await traces()).length).toBeGreaterThan(3)
  building.child.stdin?.write('\u0003')
  const { code, stdout } = await building.ended
  expect(code).toBe(130)
  expect(stdout).toContain('CANCELED')
  expect(stdout).toContain('interrupted')
  // A picture hides the cursor while it is drawn.
  if (form === 'tty') expect(stdout.lastIndexOf('\u001b[?25h')).toBeGreaterThan(stdout.lastIndexOf('\u001b[?25l'))
  expect(await traces()).toEqual([])
})

test('SIGTERM ends a build as Ctrl-C does', async () => {
  const building = bench.start([...FLAGS, '--progress=plain'])
  await building.until(/\d is-running/)
  building.child.kill('SIGTERM')
  const { code, stderr } = await building.ended
  expect(code).toBe(130)
  expect(stderr).toMatch(/#\d+ CANCELED\n/)
  expect(await traces()).toEqual([])
})

test('what a killed build leaves behind goes with the next one', async () => {
  const building = bench.start([...FLAGS, '--progress=plain'])
  await building.until(/\d is-running/)
  building.child.kill('SIGKILL')
  await building.ended
  expect((await traces()).length).toBeGreaterThan(0)
  expect(await bench.build(['--no-cache'])).toMatchObject({ code: 0 })
  expect(await traces()).toEqual([])
})

test('a terminal that is closed ends the build, as does a reader that goes away', async () => {
  const hung = bench.start([...FLAGS, '--progress=plain'])
  await hung.until(/\d is-running/)
  hung.child.kill('SIGHUP')
  expect((await hung.ended).code).toBe(130)
  expect(await traces()).toEqual([])
  const unread = bench.start(['--no-cache', '--progress=plain', '-f', 'context/noisy'])
  await unread.until(/\d noise/)
  unread.child.stderr?.destroy()
  expect((await unread.ended).code).toBe(130)
  expect(await traces()).toEqual([])
})

test('a build that waits for its Dockerfile, or for a reader of its archive, can be interrupted', async () => {
  const waiting = bench.start(['-f', '-', '--progress=plain'])
  await waiting.untilWaiting()
  waiting.child.kill('SIGINT')
  expect((await waiting.ended).code).toBe(130)
  const stuck = bench.start(['-f', 'context/large', '-o', 'type=tar,dest=-', '--progress=plain'])
  stuck.child.stdout?.pause()
  await stuck.until(/exporting to client tarball/)
  await stuck.untilWaiting()
  stuck.child.kill('SIGINT')
  expect(await stuck.exitCode).toBe(130)
  expect(await traces()).toEqual([])
})
