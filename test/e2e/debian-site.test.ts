import { mkdtempDisposable, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { messageOf } from '#domain/errors'
import type { Project } from '#domain/project'
import type { Rollout } from '#domain/rollout'
import { run } from '#host/exec'
import { startSlipway, until } from '../support/slipway.ts'

const dockerfile = `FROM debian:base
RUN apt-get update && apt-get install -y --no-install-recommends nginx-light && rm -rf /var/lib/apt/lists/*
COPY site/ /var/www/html/
EXPOSE 80
CMD ["nginx", "-g", "daemon off;"]
`

const app = (image: string, nodePort: number) => `apiVersion: apps/v1
kind: Deployment
metadata: { name: site }
spec:
  replicas: 2
  selector: { matchLabels: { app: site } }
  strategy: { type: RollingUpdate, rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }
  template:
    metadata: { labels: { app: site } }
    spec:
      containers:
        - { name: site, image: "${image}", ports: [{ containerPort: 80 }], readinessProbe: { httpGet: { path: /, port: 80 }, periodSeconds: 1 } }
---
apiVersion: v1
kind: Service
metadata: { name: site }
spec: { type: NodePort, selector: { app: site }, ports: [{ port: 80, nodePort: ${nodePort} }] }
`

/** The mirror this machine itself installs from. */
async function aptSource(): Promise<{ mirror: string; suite: string }> {
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(SITE) $(RELEASE)', 'Created-By: Packages'])
  const lines = stdout.toString().trim().split('\n')
  const main = lines.find((line) => /^\S+ \w+$/.test(line) && !line.includes('security'))
  const [mirror = '', suite = ''] = main?.split(' ') ?? []
  return { mirror, suite }
}

test('a site on a debootstrap Debian with packages from apt rolls out without a failed request', async (context) => {
  await using slipway = await startSlipway()
  await using work = await mkdtempDisposable(join(tmpdir(), 'slipway-debian-'))
  const base = join(work.path, 'base')
  const { mirror, suite } = await aptSource()
  await run('debootstrap', ['--variant=minbase', suite, base, mirror])
  await slipway.slipway('import', base, 'debian:base')
  const repository = await slipway.repository('check/site', {
    Dockerfile: dockerfile,
    'site/index.html': 'version 1\n',
  })
  await repository.push()
  const first = await slipway.build('check/site', 1)
  expect(first.status, JSON.stringify(first.error)).toBe('succeeded')

  const nodePort = 30_000 + (slipway.port % 2700)
  const manifest = join(work.path, 'app.yaml')
  await import('node:fs/promises').then((fs) =>
    fs.writeFile(manifest, app(`${first.image?.name}@${first.image?.digest}`, nodePort)),
  )
  if (!(await hasKubectl())) return context.skip('kubectl is not on PATH')
  await slipway.kubectl('apply', '-f', manifest)
  await slipway.kubectl('rollout', 'status', 'deployment/site', '--timeout=90s')
  const page = async () =>
    (
      await fetch(`http://127.0.0.1:${nodePort}/`, {
        headers: { connection: 'close' },
        signal: AbortSignal.timeout(5000),
      })
    ).text()
  await until('version 1', 20_000, async () => (await page()).includes('version 1'))
  const oldPods = await podNames(slipway)

  const project = (await slipway.api<Project>('GET', '/api/v1/projects/check/site')).body
  const rules = project.rules.map((rule: object) => ({
    ...rule,
    deploy: [{ namespace: 'default', deployment: 'site', container: 'site' }],
  }))
  expect((await slipway.api('PATCH', '/api/v1/projects/check/site', { rules })).status).toBe(200)

  const answers = { ok: 0, failed: [] as string[] }
  const stop = new AbortController()
  const client = (async () => {
    while (!stop.signal.aborted) {
      const text = await page().catch((error: Error) => `failed: ${messageOf(error.cause ?? error)}`)
      if (/^version [12]$/m.test(text)) answers.ok++
      else answers.failed.push(text)
    }
  })()
  await repository.write({ 'site/index.html': 'version 2\n' })
  await repository.commit('Second')
  await repository.push()
  await until('version 2', 90_000, async () => (await page()).includes('version 2'))
  await slipway.kubectl('rollout', 'status', 'deployment/site', '--timeout=90s')
  await until(
    'the old pods to be gone',
    60_000,
    async () => !(await podNames(slipway)).some((name) => oldPods.includes(name)),
  )
  stop.abort()
  await client
  expect(answers.failed).toEqual([])
  expect(answers.ok).toBeGreaterThan(50)
  expect(await page()).toContain('version 2')
  const rollouts = (await slipway.api<{ items: Rollout[] }>('GET', '/api/v1/rollouts')).body.items
  expect(rollouts[0]).toMatchObject({ project: 'check/site', status: 'succeeded' })
})

async function podNames(slipway: { kubectl(...args: string[]): Promise<string> }): Promise<string[]> {
  return (await slipway.kubectl('get', 'pods', '-l', 'app=site', '-o', 'name')).trim().split('\n').filter(Boolean)
}

async function hasKubectl(): Promise<boolean> {
  const paths = (process.env['PATH'] ?? '').split(':')
  const found = await Promise.all(
    paths.map((path) =>
      readFile(join(path, 'kubectl')).then(
        () => true,
        () => false,
      ),
    ),
  )
  return found.includes(true)
}
