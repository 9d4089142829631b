import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createLogger } from '#host/log'
import { openSandbox } from '#sandbox'
import { openCgroup } from '../../sandbox/cgroups/cgroup.ts'
import { directoriesOf, findHierarchies } from '../../sandbox/cgroups/hierarchies.ts'
import { commitBusybox, hostTraces, makeDataDir, never, noTraces, specOf } from './busybox.ts'

test('programs that start inside as the container ends leave nothing behind', async () => {
  await using data = makeDataDir()
  const complaints: unknown[] = []
  const log = Object.assign(createLogger('test', 'silent'), { error: (about: unknown) => void complaints.push(about) })
  {
    await using sandbox = await openSandbox({ dataDir: data.path, owner: 'test-races', warmNetworks: 0 }, log)
    const base = await commitBusybox(sandbox)
    await using snapshot = await sandbox.snapshots.prepare(base)
    const rootDir = await snapshot.mount()
    // Each ends a little later in the start of the programs: before, between and after runc's steps.
    for (const delayMs of [0, 5, 10, 15, 20, 25, 30, 40]) {
      await using container = await sandbox.containers.start(specOf(rootDir, `sleep 0.0${delayMs + 20}`), never)
      const execs = Array.from({ length: 3 }, async () => {
        await using program = await container.exec({ args: ['sleep', '100'] })
        program.stdin.end()
        await program.exited
      })
      await Promise.allSettled([container.exited, ...execs])
      await expect(container.exec({ args: ['true'] })).rejects.toMatchObject({ kind: 'conflict' })
    }
  }
  expect(complaints).toEqual([])
  expect(hostTraces(data.path, 'test-races')).toEqual({ ...noTraces, files: expect.any(Array) })
})

test('a process that joins a control group at the last moment does not keep it', async () => {
  const hierarchies = findHierarchies()
  const path = `/slipway-test-${process.pid}/late`
  const group = openCgroup(hierarchies, path)
  await group.create()
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' })
  const ended = once(child, 'exit')
  const dirs = directoriesOf(hierarchies, path)
  const inner = openCgroup(hierarchies, `${path}/inner`)
  await inner.create()
  const root = hierarchies.v1.get('memory') ?? hierarchies.v2 ?? ''
  writeFileSync(join(root, path, 'inner', 'cgroup.procs'), String(child.pid))
  await group.remove()
  expect(await ended).toEqual([null, 'SIGKILL'])
  expect(dirs.filter((dir) => existsSync(dir))).toEqual([])
})
