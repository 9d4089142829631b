import { readdirSync, realpathSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { exited, run, spawn } from '#host/exec'
import { type RunningSlipway, startSlipway, until } from '../support/slipway.ts'

const programs = await findKubectls()

/** The dispatcher of some packages has one program for each version beside it: the oldest that we support and the newest. */
async function findKubectls(): Promise<string[]> {
  const { code, stdout } = await run('which', ['kubectl'], { okCodes: [0, 1] })
  if (code !== 0) return []
  const path = realpathSync(stdout.toString().trim())
  const versions = readdirSync(dirname(path)).filter((name) => /^kubectl\.1\.(29|[3-9]\d)$/.test(name))
  const [oldest, ...others] = versions.sort().map((name) => join(dirname(path), name))
  return oldest ? [oldest, ...others.slice(-1)] : [path]
}

if (programs.length === 0) console.warn('skipped: kubectl is not on PATH')

describe.skipIf(programs.length === 0)('kubectl', () => {
  let slipway: RunningSlipway
  let image = ''
  beforeAll(async () => {
    slipway = await startSlipway({ demo: true })
    await until('the demo to be live', 60_000, async () => slipway.output().includes('Running app'))
    image = `${slipway.host}/demo/hello:latest`
  })
  afterAll(async () => slipway?.[Symbol.asyncDispose]())

  test.for(programs.map((program) => [basename(program), program] as const))(
    '%s applies, watches, reads logs and deletes',
    async ([, program]) => {
      const name = `web-${program.replaceAll(/\W/g, '').slice(-4)}`
      const file = join(slipway.dataDir, '..', `${name}.yaml`)
      const args = ['--kubeconfig', join(slipway.dataDir, 'kubeconfig')]
      const env = { ...process.env, HOME: join(slipway.dataDir, '..', name) }
      const kubectl = async (...command: string[]) =>
        (await run(program, [...args, ...command], { env })).stdout.toString()
      writeFileSync(file, manifests(name, image))

      expect(await kubectl('apply', '-f', file)).toBe(`deployment.apps/${name} created\nservice/${name} created\n`)
      expect(await kubectl('rollout', 'status', `deployment/${name}`, '--timeout=30s')).toContain(
        `deployment "${name}" successfully rolled out\n`,
      )
      expect(await kubectl('apply', '-f', file)).toBe(`deployment.apps/${name} unchanged\nservice/${name} unchanged\n`)

      expect(await kubectl('get', 'deployment', name)).toMatch(
        table('NAME READY UP-TO-DATE AVAILABLE AGE', `${name} 2/2 2 2 \\d+s`),
      )
      expect(await kubectl('get', 'service', name, '-o', 'wide')).toMatch(
        table(
          'NAME TYPE CLUSTER-IP EXTERNAL-IP PORT\\(S\\) AGE SELECTOR',
          `${name} NodePort 10\\.\\S+ <none> 80:3\\d+/TCP \\d+s app=${name}`,
        ),
      )
      expect(await kubectl('get', 'pods', '-l', `app=${name}`)).toMatch(
        table('NAME READY STATUS RESTARTS AGE', ...Array(2).fill(`${name}-[a-z0-9]+-[a-z0-9]{5} 1/1 Running 0 \\d+s`)),
      )
      const pods = await kubectl('get', 'pods', '-l', `app=${name}`, '-o', 'jsonpath={.items[*].metadata.name}')
      expect(await kubectl('describe', 'deployment', name)).toMatch(
        /Replicas: +2 desired \| 2 updated \| 2 total \| 2 available \| 0 unavailable[^]*ScalingReplicaSet/,
      )
      expect(await kubectl('logs', pods.split(' ')[0] ?? '')).toMatch(/^started\ntick 1\n/)
      const following = spawn(program, [...args, 'logs', '-f', `deployment/${name}`], { env })
      let followed = ''
      for await (const chunk of following.stdout ?? []) {
        followed += String(chunk)
        if (followed.includes('tick 3\n')) break
      }
      following.kill('SIGKILL')
      await exited(following)
      expect(followed).toMatch(/^started\ntick 1\ntick 2\ntick 3\n/)

      expect(await kubectl('delete', '-f', file, '--timeout=30s')).toMatch(
        /^deployment\.apps "[^"]+" deleted.*\nservice "[^"]+" deleted.*\n$/,
      )
      expect(await kubectl('wait', '--for=delete', 'pods', '-l', `app=${name}`, '--timeout=30s')).toBeDefined()
      expect(await kubectl('get', 'all', '-l', `app=${name}`)).toBe('')
    },
  )
})

/** Rows whose words are apart by any number of blanks. */
function table(...rows: string[]): RegExp {
  return new RegExp(`^${rows.map((row) => `${row.replaceAll(' ', ' +')} *\n`).join('')}$`)
}

function manifests(name: string, image: string): string {
  const labels = { app: name }
  const script = 'echo started; (i=1; while :; do echo tick $i; i=$((i+1)); sleep 0.3; done) & busybox httpd -f -p 8080'
  const readinessProbe = { httpGet: { path: '/', port: 'http' }, periodSeconds: 1 }
  const ports = [{ name: 'http', containerPort: 8080 }]
  const container = { name: 'web', image, command: ['sh', '-c', script], ports, readinessProbe }
  const template = { metadata: { labels }, spec: { terminationGracePeriodSeconds: 1, containers: [container] } }
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, labels },
    spec: { replicas: 2, selector: { matchLabels: labels }, template },
  }
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, labels },
    spec: { type: 'NodePort', selector: labels, ports: [{ port: 80, targetPort: 'http' }] },
  }
  return `${stringify(deployment)}---\n${stringify(service)}`
}
