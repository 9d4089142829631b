import { once } from 'node:events'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BuildRequest, DEFAULT_RUN_SETTINGS, openDirectoryContext } from '#buildkit-lite'
import { exited, run, spawn } from '#host/exec'
import { type BuildBench, openBuildBench } from './build-bench.ts'

const stack = new AsyncDisposableStack()
let bench: BuildBench
let agent = ''
let fingerprint = ''

beforeAll(async () => {
  bench = stack.use(await openBuildBench('ssh'))
  agent = join(bench.dataDir, 'agent.sock')
  const key = join(bench.dataDir, 'key')
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'slip-test', '-f', key])
  const child = spawn('ssh-agent', ['-D', '-a', agent])
  stack.defer(async () => {
    child.kill('SIGTERM')
    await exited(child)
  })
  // It prints where it listens as soon as it does.
  if (child.stdout) await once(child.stdout, 'data')
  await run('ssh-add', ['-q', key], { env: { SSH_AUTH_SOCK: agent } })
  const listed = await run('ssh-keygen', ['-l', '-f', `${key}.pub`])
  fingerprint = listed.stdout.toString().split(' ')[1] ?? ''
})
afterAll(() => stack.disposeAsync())

/** The host's ssh-add with the libraries it is linked to. */
async function sshTools(): Promise<BuildRequest['namedContexts']> {
  const root = join(bench.dataDir, 'ssh-tools')
  const { stdout } = await run('ldd', ['/usr/bin/ssh-add'])
  const libraries = stdout.toString().match(/\/\S+(?= \(0x)/g) ?? []
  for (const path of ['/usr/bin/ssh-add', ...libraries]) {
    mkdirSync(join(root, dirname(path)), { recursive: true })
    copyFileSync(path, join(root, path))
    chmodSync(join(root, path), 0o755)
  }
  const context = stack.use(await openDirectoryContext(root, { dockerfile: 'Dockerfile' }))
  return { tools: { kind: 'context', context } }
}

const withAgents = (sshAgents: Record<string, string>) => ({ run: { ...DEFAULT_RUN_SETTINGS, sshAgents } })

const openSockets = () =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')
    } catch {
      return false
    }
  }).length

test('the agent’s keys can be used inside, by whom the socket is for, and nothing of it is left', async () => {
  const dockerfile = `FROM busybox
COPY --from=tools . /
RUN --mount=type=ssh --mount=type=ssh,id=other,target=/deep/sock,mode=0666,uid=7,gid=8 \\
  echo $SSH_AUTH_SOCK; stat -c '%F %a %u %g' $SSH_AUTH_SOCK /deep/sock; /usr/bin/ssh-add -l; SSH_AUTH_SOCK=/deep/sock /usr/bin/ssh-add -l
USER app
RUN --mount=type=ssh,uid=1001,gid=1002 /usr/bin/ssh-add -l && (setsid nc local:$SSH_AUTH_SOCK < /dev/zero &)
RUN ls -d /run /deep 2>&1; echo "[$SSH_AUTH_SOCK]"
`
  const namedContexts = await sshTools()
  // Connections to the registry stay open for the next build.
  await bench.buildFiles({ Dockerfile: 'FROM busybox\nRUN true\n' })
  const before = openSockets()
  const change = { namedContexts, ...withAgents({ default: agent, other: agent }) }
  const { output } = await bench.buildFiles({ Dockerfile: dockerfile }, change)
  expect(output).toContain('/run/buildkit/ssh_agent.0\nsocket 600 0 0\nsocket 666 7 8\n')
  expect(output.split(fingerprint)).toHaveLength(4)
  expect(output).toMatch(/ls: \/run: No such file[^]*ls: \/deep: No such file[^]*\n\[\]\n$/)
  expect(openSockets()).toBe(before)
  expect(
    readdirSync('/dev/shm').filter(
      (name) => name.startsWith('slip-step-') && existsSync(join('/dev/shm', name, 'agent.sock')),
    ),
  ).toEqual([])
})

test('without an agent the variable is set, and nothing is there', async () => {
  const dockerfile =
    'FROM busybox\nRUN --mount=type=ssh,id=none echo "$SSH_AUTH_SOCK"; ls -d /run/buildkit 2>&1; true\n'
  const { output } = await bench.buildFiles({ Dockerfile: dockerfile })
  expect(output).toBe('/run/buildkit/ssh_agent.0\nls: /run/buildkit: No such file or directory\n')
})

test('a variable of one’s own is kept', async () => {
  const dockerfile = 'FROM busybox\nENV SSH_AUTH_SOCK=/mine\nRUN --mount=type=ssh echo "$SSH_AUTH_SOCK"\n'
  expect((await bench.buildFiles({ Dockerfile: dockerfile })).output).toBe('/mine\n')
})

test('an agent that has to be there is asked for by its id', async () => {
  const dockerfile = 'FROM busybox\nRUN --mount=type=ssh,id=github,required true\n'
  await expect(bench.buildFiles({ Dockerfile: dockerfile }, withAgents({ default: agent }))).rejects.toMatchObject({
    kind: 'step-failed',
    line: 2,
    message: 'no SSH key "github" forwarded from the client',
  })
})

test('an agent that does not answer looks like one that hangs up', async () => {
  const dockerfile =
    'FROM busybox\nCOPY --from=tools . /\nRUN --mount=type=ssh /usr/bin/ssh-add -l > /dev/null 2>&1 || echo hung up\n'
  const change = { namedContexts: await sshTools(), ...withAgents({ default: join(bench.dataDir, 'gone.sock') }) }
  expect((await bench.buildFiles({ Dockerfile: dockerfile }, change)).output).toBe('hung up\n')
})
