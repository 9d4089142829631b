import { mkdtempDisposable, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { UsageError } from '../../cli/exit-codes.ts'
import { openSshAgents } from '../../cli/ssh-agents.ts'
import { ExecError, run } from '../../core/host/exec.ts'

const signal = new AbortController().signal

async function makeKey(path: string, passphrase = ''): Promise<void> {
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', passphrase, '-C', path, '-f', path])
}

test('keys are offered by an agent of our own, which ends with the build', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-ssh-'))
  const keys = [join(dir.path, 'one'), join(dir.path, 'two')]
  for (const key of keys) await makeKey(key)
  const stack = new AsyncDisposableStack()
  const agents = await openSshAgents([`default=${keys.join(',')}`, `other=${keys[1]}`], stack, signal)
  expect(Object.keys(agents)).toEqual(['default', 'other'])
  const list = async (id: string) =>
    (await run('ssh-add', ['-l'], { env: { ...process.env, SSH_AUTH_SOCK: agents[id] } })).stdout.toString()
  expect((await list('default')).trim().split('\n')).toEqual([
    expect.stringContaining(keys[0] ?? ''),
    expect.stringContaining(keys[1] ?? ''),
  ])
  expect((await list('other')).trim().split('\n')).toHaveLength(1)
  await stack.disposeAsync()
  for (const socket of Object.values(agents)) await expect(stat(socket)).rejects.toThrow('ENOENT')
  await expect(list('default')).rejects.toThrow(ExecError)
})

test('an agent that runs already is named by its socket', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-ssh-'))
  const path = join(dir.path, 'agent')
  const server = createServer().listen(path)
  await using stack = new AsyncDisposableStack()
  stack.defer(() => void server.close())
  expect(await openSshAgents([`ci=${path}`], stack, signal)).toEqual({ ci: path })
  await expect(openSshAgents([`ci=${path}`, `ci=${path}`], stack, signal)).rejects.toThrow('--ssh ci is given twice')
  await expect(openSshAgents([`ci=${path},${path}`], stack, signal)).rejects.toThrow('expected one socket or keys')
})

test('keys that cannot be used are told of', async () => {
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-ssh-'))
  await using stack = new AsyncDisposableStack()
  const locked = join(dir.path, 'locked')
  await makeKey(locked, 'correct horse')
  const open = (flag: string) => openSshAgents([flag], stack, signal)
  await expect(open(`a=${locked}`)).rejects.toThrow('A key with a passphrase needs an agent')
  await expect(open('a=/nowhere')).rejects.toThrow(UsageError)
  await expect(open('=x')).rejects.toThrow('has no id')
})
