import { once } from 'node:events'
import { mkdir, readFile, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import * as k8s from '@kubernetes/client-node'
import { expect, test } from 'vitest'
import { createRegistry } from '#buildkit-lite'
import { exited, run, spawn } from '#host/exec'
import { sandboxWrapper } from '#sandbox'
import { startDockerRegistry } from '../support/docker-registry.ts'
import { startRedis } from '../support/redis.ts'
import { makeDataDir } from './busybox.ts'
import { pushBusybox } from './cluster-node.ts'

const projectDir = join(import.meta.dirname, '..', '..')

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address ? address.port : 0
}

interface ClusterProcess extends AsyncDisposable {
  client<T extends k8s.ApiType>(api: new (configuration: k8s.Configuration) => T): T
  stop(): Promise<number | null>
}

/** The cluster role as the supervisor starts it. */
async function startProcess(env: Record<string, string>): Promise<ClusterProcess> {
  const dataDir = env['SLIPWAY_DATA'] ?? ''
  const command = [...sandboxWrapper(), process.execPath, join(projectDir, 'cluster', 'main.ts')]
  const child = spawn(command[0] ?? '', command.slice(1), {
    env: { PATH: process.env['PATH'] ?? '', ...env },
    cwd: projectDir,
  })
  const ended = exited(child)
  let said = ''
  const listening = Promise.withResolvers<void>()
  child.stdout?.resume()
  child.stderr?.on('data', (chunk: Buffer) => {
    said += String(chunk)
    if (said.includes('"listening"')) listening.resolve()
  })
  void ended.then(() => listening.reject(new Error(`the cluster process ended:\n${said}`)))
  await listening.promise
  const config = new k8s.KubeConfig()
  config.loadFromFile(join(dataDir, 'kubeconfig'))
  const stop = async () => {
    // The program is process 1 behind unshare, which passes no signal on.
    const { stdout } = await run('pgrep', ['-P', String(child.pid)], { okCodes: [0, 1] })
    for (const pid of stdout.toString().split('\n').filter(Boolean)) process.kill(Number(pid), 'SIGTERM')
    return (await ended).code
  }
  return { client: (api) => config.makeApiClient(api), stop, [Symbol.asyncDispose]: async () => void (await stop()) }
}

const container = (image: string, answer: string) => ({
  name: 'web',
  image,
  command: [
    'sh',
    '-c',
    `echo ${answer} > /www/index.html; echo started ${answer}; exec busybox httpd -f -p 8080 -h /www`,
  ],
  ports: [{ name: 'http', containerPort: 8080 }],
  readinessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 1 },
})

async function untilRolledOut(apps: k8s.AppsV1Api, name: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    const { status, metadata, spec } = await apps.readNamespacedDeployment({ name, namespace: 'default' })
    const isSeen = status?.observedGeneration === metadata?.generation
    const { updatedReplicas, availableReplicas, replicas } = status ?? {}
    if (isSeen && [updatedReplicas, availableReplicas, replicas].every((count) => count === spec?.replicas)) return
    if (tries > 150) throw new Error(`Deployment ${name} is not rolled out: ${JSON.stringify(status)}`)
    await sleep(200)
  }
}

test('the cluster process runs a Deployment behind a Service, rolls it without a lost request, and comes back', async () => {
  await using data = makeDataDir()
  await using redis = await startRedis()
  await using registry = await startDockerRegistry()
  const image = `${registry.host}/busybox:1`
  await pushBusybox(createRegistry({ searchOrder: [], credentialsFor: () => null, insecure: [] }), image)
  const dataDir = join(data.path, 'data')
  await mkdir(dataDir)
  const env = {
    SLIPWAY_DATA: dataDir,
    REDIS_URL: redis.url,
    SLIPWAY_REGISTRY: `http://${registry.host}`,
    SLIPWAY_CLUSTER_PORT: String(await freePort()),
  }
  let url = ''
  {
    await using cluster = await startProcess(env)
    expect((await stat(join(dataDir, 'kubeconfig'))).mode & 0o777).toBe(0o600)
    const apps = cluster.client(k8s.AppsV1Api)
    const core = cluster.client(k8s.CoreV1Api)
    const labels = { app: 'web' }
    const spec = {
      replicas: 2,
      selector: { matchLabels: labels },
      strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: { labels },
        spec: { containers: [container(image, 'one')], terminationGracePeriodSeconds: 3 },
      },
    }
    await apps.createNamespacedDeployment({ namespace: 'default', body: { metadata: { name: 'web' }, spec } })
    const ports = [{ port: 80, targetPort: 'http' }]
    const service = await core.createNamespacedService({
      namespace: 'default',
      body: { metadata: { name: 'web' }, spec: { type: 'NodePort', selector: labels, ports } },
    })
    await untilRolledOut(apps, 'web')
    url = `http://127.0.0.1:${service.spec?.ports?.[0]?.nodePort}/`
    expect(await (await fetch(url)).text()).toBe('one\n')
    const { items } = await core.listNamespacedPod({ namespace: 'default', labelSelector: 'app=web' })
    const log = await core.readNamespacedPodLog({ namespace: 'default', name: items[0]?.metadata?.name ?? '' })
    expect(log).toBe('started one\n')

    const answers = new Map<string, number>()
    const done = new AbortController()
    const asking = (async () => {
      while (!done.signal.aborted) {
        const answer = await fetch(url, { headers: { connection: 'close' } }).then(
          (response) => response.text(),
          (error: Error) => `failed: ${String(error.cause)}`,
        )
        answers.set(answer, (answers.get(answer) ?? 0) + 1)
      }
    })()
    await apps.patchNamespacedDeployment(
      {
        namespace: 'default',
        name: 'web',
        body: { spec: { template: { spec: { containers: [container(image, 'two')] } } } },
      },
      k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.StrategicMergePatch),
    )
    await untilRolledOut(apps, 'web')
    await sleep(500)
    done.abort()
    await asking
    expect([...answers.keys()].sort()).toEqual(['one\n', 'two\n'])
    expect(await (await fetch(url)).text()).toBe('two\n')
    expect(await cluster.stop()).toBe(0)
  }
  await expect(fetch(url)).rejects.toThrow('fetch failed')
  {
    const token = await readFile(join(dataDir, 'cluster', 'token'), 'utf8')
    await using cluster = await startProcess(env)
    expect(await readFile(join(dataDir, 'cluster', 'token'), 'utf8')).toBe(token)
    await untilRolledOut(cluster.client(k8s.AppsV1Api), 'web')
    for (let tries = 0; tries < 50; tries++) {
      const answer = await fetch(url).then(
        (response) => response.text(),
        () => '',
      )
      if (answer === 'two\n') break
      await sleep(200)
    }
    expect(await (await fetch(url)).text()).toBe('two\n')
  }
})
