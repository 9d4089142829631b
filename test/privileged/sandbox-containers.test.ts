import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createLogger } from '#host/log'
import { openSandbox, type Sandbox } from '#sandbox'
import { commitBusybox, makeDataDir, never, runOn, specOf, textOf } from './busybox.ts'

const MIB = 1024 * 1024
const data = makeDataDir()
let sandbox: Sandbox
let base = ''

beforeAll(async () => {
  sandbox = await openSandbox(
    { dataDir: data.path, owner: 'test-containers', warmNetworks: 0 },
    createLogger('test', 'warn'),
  )
  base = await commitBusybox(sandbox)
})
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]()
  await data[Symbol.asyncDispose]()
})

describe('a program', () => {
  test('gives its output in order, its errors apart, and its exit code', async () => {
    const done = await runOn(sandbox, base, 'for i in 1 2 3; do echo out $i; echo err $i >&2; done; exit 7')
    expect(done).toMatchObject({
      stdout: 'out 1\nout 2\nout 3\n',
      stderr: 'err 1\nerr 2\nerr 3\n',
      code: 7,
      signal: null,
    })
    expect(done.usage).toMatchObject({ oomKills: 0, cpuMs: expect.any(Number), peakMemoryBytes: expect.any(Number) })
  })

  test('may open its output again by name', async () => {
    const { stdout, stderr } = await runOn(sandbox, base, 'echo one > /dev/stdout; echo two > /dev/stderr')
    expect([stdout, stderr]).toEqual(['one\n', 'two\n'])
  })

  test('waits while nobody reads its output', async () => {
    await using snapshot = await sandbox.snapshots.prepare(base)
    const script = 'dd if=/dev/zero bs=65536 count=200; touch /done'
    await using container = await sandbox.containers.start(specOf(await snapshot.mount(), script), never)
    await once(container.stdout, 'readable')
    expect(existsSync(join(snapshot.upperDir, 'done'))).toBe(false)
    container.stderr.resume()
    expect((await textOf(container.stdout)).length).toBe(200 * 65_536)
    expect((await container.exited).code).toBe(0)
  })

  test.for([
    ['nope', 127, /exec: "nope": executable file not found in \$PATH/],
    ['/no/such/file', 127, /exec: "\/no\/such\/file": no such file or directory/],
    ['/etc', 126, /exec: "\/etc": (permission denied|is a directory)/],
    ['/data', 126, /exec: "\/data": permission denied/],
  ] as const)('that cannot start is told apart: %s', async ([program, exitCode, message]) => {
    await using snapshot = await sandbox.snapshots.prepare(base)
    writeFileSync(join(snapshot.upperDir, 'data'), 'text', { mode: 0o644 })
    const spec = { ...specOf(await snapshot.mount(), ''), args: [program] }
    await expect(sandbox.containers.start(spec, never)).rejects.toMatchObject({
      kind: 'step-failed',
      exitCode,
      message: expect.stringMatching(message),
    })
  })

  test('of a format that the kernel does not know says so and ends', async () => {
    await using snapshot = await sandbox.snapshots.prepare(base)
    writeFileSync(join(snapshot.upperDir, 'data'), 'text', { mode: 0o755 })
    const spec = { ...specOf(await snapshot.mount(), ''), args: ['/data'] }
    await using container = await sandbox.containers.start(spec, never)
    expect(await textOf(container.stderr)).toContain('/data: exec format error')
    expect((await container.exited).code).toBe(1)
  })

  test('runs as another user, without capabilities, in its directory', async () => {
    const user = { uid: 1234, gid: 99, additionalGids: [5, 6] }
    const { stdout } = await runOn(sandbox, base, 'id; pwd; grep CapEff /proc/self/status; touch f && ls -l f', {
      user,
      workingDir: '/tmp',
    })
    expect(stdout).toMatch(/uid=1234 gid=99 groups=5,6/)
    expect(stdout).toContain('/tmp\nCapEff:\t0000000000000000\n-rw-r--r--')
  })

  test('sees only itself, its own names and no way to the host', async () => {
    const script =
      'cat /etc/hosts /proc/1/comm; cat /proc/sys/kernel/hostname; ls /proc | grep -c "^[0-9]"; echo x > /proc/sys/kernel/hostname; umount /proc; wc -c < /proc/kcore; cat /proc/self/oom_score_adj'
    const { stdout, stderr } = await runOn(sandbox, base, script)
    expect(stdout).toMatch(/127.0.0.1\tlocalhost[^]*\nsh\nbox\n[1-9]\n0\n/)
    expect(stderr).toMatch(/Read-only file system/)
    expect(stderr).toMatch(/umount.*(not permitted|denied)/)
    expect(Number(stdout.trim().split('\n').at(-1))).toBeGreaterThanOrEqual(
      Number(readFileSync('/proc/self/oom_score_adj', 'utf8')),
    )
  })

  test('sees what is mounted for it', async () => {
    writeFileSync(join(data.path, 'secret'), 'hush')
    const { stdout, stderr } = await runOn(
      sandbox,
      base,
      'cat /run/secret; echo x > /run/secret; grep " /cache " /proc/mounts',
      {
        mounts: [
          { kind: 'bind', source: join(data.path, 'secret'), target: '/run/secret', readonly: true },
          { kind: 'tmpfs', target: '/cache', sizeBytes: MIB, mode: 0o1777 },
        ],
      },
    )
    expect(stdout).toMatch(/^hushtmpfs \/cache tmpfs .*size=1024k/)
    expect(stderr).toContain('Read-only file system')
  })
})

describe('limits', () => {
  test('memory: the kill is counted', async () => {
    const limits = { memoryBytes: 32 * MIB, cpus: null, pids: null }
    const { usage, stdout } = await runOn(sandbox, base, 'tail -c 200000000 /dev/zero; echo after $?', { limits })
    expect(usage.oomKills).toBeGreaterThanOrEqual(1)
    expect(usage.peakMemoryBytes).toBeLessThanOrEqual(33 * MIB)
    expect(stdout).toBe('after 137\n')
  })

  test('processes', async () => {
    const limits = { memoryBytes: null, cpus: null, pids: 5 }
    const { stderr } = await runOn(sandbox, base, 'for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; kill %1', { limits })
    expect(stderr).toMatch(/fork/)
  })

  test('processor: a quarter of one takes four times as long', async () => {
    const limits = { memoryBytes: null, cpus: 0.25, pids: null }
    const startedAt = performance.now()
    const { usage } = await runOn(sandbox, base, 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done', { limits })
    expect(usage.cpuMs ?? 0).toBeLessThan((performance.now() - startedAt) * 0.5)
  })
})

describe('an end before its time', () => {
  test('an abort kills all, children in sessions of their own too', async () => {
    await using snapshot = await sandbox.snapshots.prepare(base)
    const stop = new AbortController()
    const script =
      'trap "" TERM; for i in 1 2 3; do setsid sh -c "trap \\"\\" TERM HUP; echo up; while :; do sleep 1; done" & done; wait'
    await using container = await sandbox.containers.start(specOf(await snapshot.mount(), script), stop.signal)
    let seen = ''
    for await (const chunk of container.stdout) {
      seen += String(chunk)
      if (seen === 'up\nup\nup\n') stop.abort(new Error('enough'))
    }
    expect((await container.exited).code).toBe(137)
    expect(existsSync(`/proc/${container.pid}`)).toBe(false)
  })

  test('an aborted signal starts nothing', async () => {
    await using snapshot = await sandbox.snapshots.prepare(base)
    const reason = new Error('too late')
    await expect(sandbox.containers.start(specOf(await snapshot.mount(), ''), AbortSignal.abort(reason))).rejects.toBe(
      reason,
    )
    const stop = new AbortController()
    const starting = sandbox.containers.start(specOf(await snapshot.mount(), 'sleep 100'), stop.signal)
    stop.abort(reason)
    await expect(starting).rejects.toBe(reason)
  })

  test('disposing ends a program whose output nobody reads, twice', async () => {
    await using snapshot = await sandbox.snapshots.prepare(base)
    const container = await sandbox.containers.start(
      specOf(await snapshot.mount(), 'dd if=/dev/zero bs=1048576 count=100; sleep 100'),
      never,
    )
    await container[Symbol.asyncDispose]()
    await container[Symbol.asyncDispose]()
    expect(await container.exited).toMatchObject({ code: 137 })
  })

  test('a signal reaches the first process', async () => {
    await using snapshot = await sandbox.snapshots.prepare(base)
    const script = 'trap "echo bye; exit 5" TERM; echo up; while :; do sleep 0.05; done'
    await using container = await sandbox.containers.start(specOf(await snapshot.mount(), script), never)
    let seen = ''
    for await (const chunk of container.stdout) {
      if (seen === '') await container.kill('SIGTERM')
      seen += String(chunk)
    }
    expect([seen, (await container.exited).code]).toEqual(['up\nbye\n', 5])
    await container.kill('SIGKILL')
  })
})

describe('a further program inside', () => {
  test('has the container’s view, its own input, output and exit code', async () => {
    await using snapshot = await sandbox.snapshots.prepare(base)
    await using container = await sandbox.containers.start(
      specOf(await snapshot.mount(), 'echo here > /tmp/file; echo up; sleep 100'),
      never,
    )
    await once(container.stdout, 'data')
    await using process = await container.exec({
      args: ['sh', '-c', 'cat /tmp/file -; id; exit 9'],
      user: { uid: 7, gid: 7, additionalGids: [] },
    })
    process.stdin.end('input\n')
    const stdout = await textOf(process.stdout)
    expect(stdout).toMatch(/^here\ninput\nuid=7 gid=7/)
    expect((await process.exited).code).toBe(9)
    await expect(container.exec({ args: ['nope'] })).rejects.toMatchObject({ kind: 'step-failed', exitCode: 127 })
    await using sleeper = await container.exec({ args: ['sleep', '100'] })
    await sleeper[Symbol.asyncDispose]()
    expect((await sleeper.exited).code).toBe(137)
  })
})
