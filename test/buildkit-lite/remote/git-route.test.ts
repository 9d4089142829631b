import { mkdir, mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { run } from '#host/exec'
import { runGit } from '../../../buildkit-lite/context/git-objects.ts'
import type { AddressRules } from '../../../buildkit-lite/remote/address-rules.ts'
import { routeTo, toEnvironment } from '../../../buildkit-lite/remote/git-route.ts'
import { startFileServer } from '../../support/file-server.ts'
import { startGitServer } from '../../support/git-server.ts'

const never = new AbortController().signal

/** One address of the loopback stands for the internet. */
const rules: AddressRules = {
  isAllowed: (address) => address === '127.0.0.1',
  check: (host, address) => {
    if (address !== '127.0.0.1') throw new Error(`${host} is private`)
  },
  checkPort: () => {},
}
const tools = { rules, access: { allowPrivate: false }, stateDir: '/nonexistent', sshAgent: '/run/agent' }
const route = (url: string) => routeTo({ url, authorization: null }, tools, never)

async function openRepository() {
  await using stack = new AsyncDisposableStack()
  const dir = stack.use(await mkdtempDisposable(join(tmpdir(), 'slip-route-')))
  const repository = join(dir.path, 'a/main.git')
  await mkdir(repository, { recursive: true })
  await run('git', ['init', '-q', '--bare', '-b', 'main', repository])
  const server = stack.use(await startGitServer(dir.path))
  const owned = stack.move()
  return { url: server.url, gitDir: repository, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

test('a name of http is looked up once, and redirects are followed before git goes there', async () => {
  await using repository = await openRepository()
  await using moved = await startFileServer((request, response) =>
    response.writeHead(301, { location: `${repository.url.replace('127.0.0.1', 'localhost')}${request.url}` }).end(),
  )
  const found = await route(`${moved.origin}/a/main.git`)
  const { port } = new URL(repository.url)
  expect(found.url).toBe(`http://localhost:${port}/a/main.git`)
  expect(found.settings).toMatchObject({
    'http.curloptResolve': `localhost:${port}:127.0.0.1`,
    'http.followRedirects': 'false',
  })
  const env = { ...found.env, ...toEnvironment(found.settings) }
  await runGit({ gitDir: repository.gitDir, args: ['ls-remote', '--', found.url], env, signal: never })
})

test('git itself goes where it was told and nowhere else', async () => {
  await using repository = await openRepository()
  const { port } = new URL(repository.url)
  const found = await route(`http://localhost:${port}/a/main.git`)
  const elsewhere = { ...found.settings, 'http.curloptResolve': `localhost:${port}:127.0.0.9` }
  const env = { ...found.env, ...toEnvironment(elsewhere) }
  const reached = runGit({ gitDir: repository.gitDir, args: ['ls-remote', '--', found.url], env, signal: never })
  await expect(reached).rejects.toThrow('unable to access')
})

test('other protocols get the address that was allowed', async () => {
  expect((await route('git://localhost:9418/a.git')).url).toBe('git://127.0.0.1:9418/a.git')
  for (const url of ['ssh://git@localhost/a.git', 'git@localhost:a.git']) {
    const { env, ...found } = await route(url)
    expect(found.url).toBe(url)
    expect(env['GIT_SSH_COMMAND']).toContain("'HostName=127.0.0.1'")
    expect(env['SSH_AUTH_SOCK']).toBe('/run/agent')
  }
})
