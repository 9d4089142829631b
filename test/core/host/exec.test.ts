import { expect, test } from 'vitest'
import { ExecError, run } from '#host/exec'

test('what a program prints comes back', async () => {
  const { stdout, stderr, code } = await run('sh', ['-c', 'echo out; echo err >&2'])
  expect({ stdout: stdout.toString(), stderr, code }).toEqual({ stdout: 'out\n', stderr: 'err\n', code: 0 })
})

test('arguments are never read by a shell', async () => {
  const { stdout } = await run('printf', ['%s', '$(id); `id` "x"'])
  expect(stdout.toString()).toBe('$(id); `id` "x"')
})

test('input is written and closed', async () => {
  expect((await run('cat', [], { input: 'hello' })).stdout.toString()).toBe('hello')
})

test('a program that does not read its input is judged by its exit code', async () => {
  expect((await run('true', [], { input: Buffer.alloc(4_000_000) })).code).toBe(0)
})

test('an unexpected exit code is an error that ends with what the program said', async () => {
  const failure = run('sh', ['-c', 'echo no such thing >&2; exit 3'])
  await expect(failure).rejects.toThrow(ExecError)
  await expect(failure).rejects.toThrow('sh exited with code 3: no such thing')
})

test('a code may be expected', async () => {
  expect((await run('sh', ['-c', 'exit 3'], { okCodes: [0, 3] })).code).toBe(3)
})

test('a program that is not there is named', async () => {
  await expect(run('/nonexistent/program', [])).rejects.toThrow('/nonexistent/program could not be started')
})

test('too much output ends the program', async () => {
  await expect(run('yes', [], { maxOutputBytes: 100_000 })).rejects.toMatchObject({ kind: 'too-large' })
})

test('aborting kills the program and rejects with the reason', async () => {
  const controller = new AbortController()
  const running = run('sleep', ['60'], { signal: controller.signal })
  controller.abort(new Error('no longer wanted'))
  await expect(running).rejects.toThrow('no longer wanted')
})
