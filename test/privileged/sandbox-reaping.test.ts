import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { createLogger } from '#host/log'
import { openSandbox, sandboxWrapper } from '#sandbox'
import { hostTraces, makeDataDir, noTraces, runOn } from './busybox.ts'

const log = createLogger('test', 'warn')
const holderFile = fileURLToPath(import.meta.resolve('./sandbox-holder.ts'))
const open = (dataDir: string, owner: string) => openSandbox({ dataDir, owner, warmNetworks: 0 }, log)

/** A process that holds two containers with two programs each, a view and networks. */
async function startHolder(owner: string, wrapper: readonly string[]) {
  await using stack = new AsyncDisposableStack()
  const data = stack.use(makeDataDir())
  // Found by what it does in all of /proc: containers have process numbers of their own.
  const seconds = `${100_000 + Math.floor(Math.random() * 800_000)}`
  const command = [...wrapper, process.execPath, holderFile, data.path, owner, seconds]
  const child = spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] })
  const exit = once(child, 'exit')
  stack.defer(async () => {
    child.kill('SIGKILL')
    await exit
    await using _reaper = await open(data.path, owner)
  })
  let seen = ''
  for await (const chunk of child.stdout) {
    seen += String(chunk)
    if (seen.split('\n').length > 2) break
  }
  // Both shells have said so just before they start their second program.
  await expect.poll(() => programs(seconds), { message: seen }).toHaveLength(4)
  const owned = stack.move()
  return {
    dataDir: data.path,
    running: () => programs(seconds),
    async end(signal: NodeJS.Signals) {
      child.kill(signal)
      return await exit
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

function programs(seconds: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8') === `sleep\0${seconds}\0`
      } catch {
        // Gone between the listing and the reading.
        return false
      }
    })
}

test.for([
  ['in the wrapper', sandboxWrapper()],
  ['without the wrapper', []],
] as const)('kill -9 of a process %s: the next one of its name removes all it left', async ([, wrapper]) => {
  await using holder = await startHolder('test-killed', wrapper)
  const before = hostTraces(holder.dataDir, 'test-killed')
  expect([before.cgroups, before.links, before.tables].every((found) => found.length > 0)).toBe(true)
  await holder.end('SIGKILL')
  {
    await using sandbox = await open(holder.dataDir, 'test-killed')
    expect(holder.running()).toEqual([])
    const { mounts, links, namespaces, tables } = hostTraces(holder.dataDir, 'test-killed')
    expect({ mounts, links, namespaces, tables }).toEqual({ mounts: [], links: [], namespaces: [], tables: [] })
    expect(await runOn(sandbox, 'sha256:busybox', 'echo again')).toMatchObject({ stdout: 'again\n', code: 0 })
  }
  expect(hostTraces(holder.dataDir, 'test-killed')).toEqual(noTraces)
})

test('the wrapper takes processes, mounts and namespaces along, and another owner the rest', async () => {
  await using holder = await startHolder('test-wrapped', sandboxWrapper())
  expect(hostTraces(holder.dataDir, 'test-wrapped').mounts).toEqual([])
  await holder.end('SIGKILL')
  await expect.poll(() => [holder.running(), hostTraces(holder.dataDir, 'test-wrapped').links]).toEqual([[], []])
  {
    await using _other = await open(holder.dataDir, 'test-other')
    expect(hostTraces(holder.dataDir, 'test-wrapped')).toMatchObject({ cgroups: [], tables: [] })
  }
  expect(hostTraces(holder.dataDir, 'test-wrapped', 'test-other')).toEqual(noTraces)
})

test('who works in the wrapper removes what a dead one left outside of it', async () => {
  await using holder = await startHolder('test-outside', [])
  await holder.end('SIGKILL')
  expect(hostTraces(holder.dataDir).mounts.length).toBeGreaterThan(0)
  const script = `
    const { openSandbox } = await import('#sandbox')
    const { createLogger } = await import('#host/log')
    const options = { dataDir: ${JSON.stringify(holder.dataDir)}, owner: 'test-inside', warmNetworks: 0 }
    await using sandbox = await openSandbox(options, createLogger('test', 'warn'))`
  const [file, ...args] = [...sandboxWrapper(), process.execPath, '--input-type=module', '-e', script]
  const child = spawn(file ?? '', args, { stdio: 'inherit' })
  expect(await once(child, 'exit')).toEqual([0, null])
  expect(holder.running()).toEqual([])
  await expect.poll(() => readdirSync(join(holder.dataDir, 'snapshots/trash'))).toEqual([])
  expect(hostTraces(holder.dataDir, 'test-outside', 'test-inside')).toEqual(noTraces)
})

test('SIGTERM leaves nothing', async () => {
  await using holder = await startHolder('test-stopped', [])
  expect(await holder.end('SIGTERM')).toEqual([0, null])
  expect(holder.running()).toEqual([])
  expect(hostTraces(holder.dataDir, 'test-stopped')).toEqual(noTraces)
})

test('a name has one live process, which others leave alone', async () => {
  await using holder = await startHolder('test-taken', [])
  await expect(open(holder.dataDir, 'test-taken')).rejects.toMatchObject({ kind: 'conflict' })
  {
    await using _other = await open(holder.dataDir, 'test-other')
    expect(holder.running()).toHaveLength(4)
  }
  await holder.end('SIGTERM')
  await using _next = await open(holder.dataDir, 'test-taken')
})
