import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { run, spawn } from '#host/exec'
import { openTerminal } from '#host/terminal'
import { writeKubeconfig } from '../../cluster/server/kubeconfig.ts'
import { openIdentity } from '../../cluster/server/pki.ts'
import { startServer } from '../../cluster/server/server.ts'
import { ServiceAddresses } from '../../cluster/server/service-addresses.ts'
import { isReady, podOf, startNode, type TestNode } from './cluster-node.ts'

/** Releases of kubectl that are at hand: those before 1.30 speak SPDY, later ones WebSockets. */
const found = await Promise.all(
  ['kubectl', 'kubectl.1.29'].map(async (name) => {
    for (const path of [name, `/usr/lib/google-cloud-sdk/bin/${name}`]) {
      const runs = await run(path, ['version', '--client']).then(
        () => true,
        () => false,
      )
      if (runs) return [path]
    }
    return []
  }),
)
const releases = found.flat()
if (releases.length === 0) process.stderr.write('skipped: kubectl is not on PATH\n')

const stack = new AsyncDisposableStack()
let node: TestNode
let directory: string
beforeAll(async () => {
  node = stack.use(await startNode('sessions'))
  directory = await mkdtemp(join(tmpdir(), 'slip-sessions-'))
  stack.defer(() => rm(directory, { recursive: true, force: true }))
  const identity = await openIdentity(directory, '127.0.0.1')
  const { logs, sessions } = node.kubelet()
  const addresses = new ServiceAddresses(node.objects, '10.96.0.0/16')
  const place = { host: '127.0.0.1', port: 0, log: node.log }
  const server = stack.use(await startServer({ objects: node.objects, addresses, logs, sessions, identity, ...place }))
  await writeKubeconfig(join(directory, 'kubeconfig'), server.url, identity)
  await node.objects.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } }).catch(() => {})
  const web = ['sh', '-c', 'httpd -p 127.0.0.1:81 -h /www; exec httpd -f -p 80 -h /www']
  const talk = ['sh', '-c', 'while :; do echo tick; sleep 0.2; done']
  const two = podOf('web', { image: node.image, command: web, env: [{ name: 'OF_POD', value: 'yes' }] })
  two.spec.containers.push({ name: 'side', image: node.image, imagePullPolicy: 'IfNotPresent', command: talk })
  await node.objects.create({ ...two, kind: 'Pod' })
  await node.untilPod('web', isReady)
})
afterAll(() => stack.disposeAsync())

const environment = () => ({
  PATH: process.env['PATH'] ?? '',
  HOME: directory,
  KUBECONFIG: join(directory, 'kubeconfig'),
  TERM: 'xterm',
})
const k = async (kubectl: string, args: string[], input = '', okCodes = [0]) =>
  await run(kubectl, args, { env: environment(), okCodes, input })

describe.skipIf(releases.length === 0).each(releases)('%s', (kubectl) => {
  test('exec: output, errors, exit codes, variables, containers', async () => {
    const script = 'echo out; echo err >&2; echo $OF_POD; exit 7'
    const result = await k(kubectl, ['exec', 'web', '-c', 'c', '--', 'sh', '-c', script], '', [7])
    expect(result.stdout.toString()).toBe('out\nyes\n')
    expect(result.stderr).toBe('err\ncommand terminated with exit code 7\n')
    const side = await k(kubectl, ['exec', 'web', '-c', 'side', '--', 'sh', '-c', 'echo "$OF_POD" from side'])
    expect(side.stdout.toString()).toBe(' from side\n')
    const missing = await k(kubectl, ['exec', 'web', '-c', 'c', '--', 'no-such-program'], '', [1])
    expect(missing.stderr).toContain('no-such-program')
    const wrong = await k(kubectl, ['exec', 'web', '-c', 'nobody', '--', 'true'], '', [1])
    expect(wrong.stderr).toContain('container')
  })

  test('exec -i: the input and its end, a megabyte each way', async () => {
    const text = 'x'.repeat(1024 * 1024)
    const { stdout } = await k(kubectl, ['exec', '-i', 'web', '-c', 'c', '--', 'cat'], text)
    expect(stdout.toString()).toBe(text)
  })

  test('cp: there and back', async () => {
    const [from, back] = [join(directory, 'from'), join(directory, 'back')]
    await writeFile(from, 'copied\n'.repeat(10_000))
    await k(kubectl, ['cp', from, 'web:/tmp/copy', '-c', 'c'])
    await k(kubectl, ['cp', 'web:/tmp/copy', back, '-c', 'c'])
    expect(await readFile(back, 'utf8')).toBe(await readFile(from, 'utf8'))
    await rm(back)
  })

  test('attach shows what is printed from now on', async () => {
    await using child = start(kubectl, ['attach', 'web', '-c', 'side'])
    expect(await child.line()).toBe('tick')
  })

  test('port-forward, also to a port of the loopback', async () => {
    await using child = start(kubectl, ['port-forward', 'pod/web', ':80', ':81'])
    const ports: string[] = []
    while (ports.length < 2) {
      const port = /^Forwarding from 127\.0\.0\.1:(\d+)/.exec(await child.line())?.[1]
      if (port) ports.push(port)
    }
    for (const port of [...ports, ...ports]) {
      const response = await fetch(`http://127.0.0.1:${port}/index.html`)
      expect(await response.text()).toBe('hello\n')
    }
  })

  test('exec -it: a terminal of the size that ours has, also when it changes', async () => {
    using terminal = openTerminal()
    await terminal.resize({ columns: 101, rows: 33 })
    const { programFd: fd } = terminal
    const script = 'tty; until read -t 1 x; do stty size; done; exit 3'
    const args = ['exec', '-it', 'web', '-c', 'c', '--', 'sh', '-c', script]
    const child = spawn(kubectl, args, { env: environment(), stdio: [fd, fd, fd], detached: true })
    terminal.closeProgramEnd()
    let said = ''
    const says = async (wanted: RegExp) => {
      while (!wanted.test(said)) await once(terminal.stream, 'data', { signal: AbortSignal.timeout(10_000) })
    }
    terminal.stream.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    const ended = once(child, 'exit')
    await says(/\/dev\/pts\/\d+\r\n(.*\r\n)*33 101\r\n/)
    await terminal.resize({ columns: 77, rows: 22 })
    child.kill('SIGWINCH')
    await says(/22 77\r\n/)
    terminal.stream.write('go\r')
    expect((await ended)[0]).toBe(3)
  })
})

/** A kubectl that goes on until it is stopped. */
function start(kubectl: string, args: string[]) {
  const child = spawn(kubectl, args, { env: environment() })
  const lines = createInterface({ input: child.stdout as Readable })[Symbol.asyncIterator]()
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  return {
    line: async () => {
      const { value, done } = await lines.next()
      if (done) throw new Error(`kubectl ended: ${said}`)
      return value
    },
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, 'exit')
      if (child.exitCode === null && child.kill('SIGKILL')) await ended
    },
  }
}
