import { copyFile, mkdir, mkdtempDisposable, open, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { exited, run, spawn } from '#host/exec'
import { hostTraces, noTraces } from '../privileged/busybox.ts'
import { until } from '../support/slipway.ts'

const slipway = join(import.meta.dirname, '..', '..', 'slipway')
let work: Awaited<ReturnType<typeof mkdtempDisposable>>
let dataDir: string

beforeAll(async () => {
  work = await mkdtempDisposable('/var/tmp/slipway-cli-')
  dataDir = join(work.path, 'data')
})
afterAll(() => work[Symbol.asyncDispose]())

const env = () => ({ ...process.env, SLIPWAY_DATA: dataDir, HOME: work.path })

/** A context with Debian's static busybox, which the Dockerfile makes its image of. */
async function makeContext(name: string, steps: string): Promise<string> {
  const dir = join(work.path, name)
  await mkdir(dir)
  await copyFile('/bin/busybox', join(dir, 'busybox'))
  await writeFile(
    join(dir, 'Dockerfile'),
    `FROM scratch\nCOPY busybox /bin/\nSHELL ["/bin/busybox", "sh", "-c"]\n${steps}`,
  )
  return dir
}

async function build(context: string, ...flags: string[]): Promise<string> {
  const { stderr } = await run(slipway, ['build', '--progress=plain', ...flags, context], { env: env() })
  return stderr
}

/** The mirror this machine itself installs from. */
async function releaseFile(): Promise<string> {
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(SITE) $(RELEASE)', 'Created-By: Packages'])
  const [mirror, suite] = stdout.toString().trim().split('\n')[0]?.split(' ') ?? []
  return `${mirror}/dists/${suite}/Release`
}

test('a RUN reaches the internet by name', async () => {
  const context = await makeContext('network', `RUN busybox wget -q -O - ${await releaseFile()} | busybox head -n 3\n`)
  expect(await build(context)).toMatch(/Origin: Debian|Suite: /)
})

test('a RUN without network reaches nothing', async () => {
  const context = await makeContext('none', `RUN busybox wget -q -T 5 -O - ${await releaseFile()}\n`)
  await expect(build(context, '--network=none')).rejects.toThrow(/bad address|did not complete/)
})

test('what a killed build was doing is gone after the next one', async () => {
  const context = await makeContext('killed', 'RUN echo started; busybox sleep 98765\n')
  const archive = join(work.path, 'context.tar')
  await run('tar', ['-C', context, '-cf', archive, '.'])
  await using input = await open(archive)
  // A context that is fetched has files of its own.
  const options = { env: env(), stdio: [input.fd, 'pipe', 'pipe'] as [number, 'pipe', 'pipe'] }
  const child = spawn(slipway, ['build', '--progress=plain', '-'], options)
  let output = ''
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()))
  await until('the step to run', 30_000, async () => output.includes('started\n'))
  const owner = `cli-${child.pid}`
  expect(hostTraces(dataDir, owner).cgroups).not.toEqual([])
  child.kill('SIGKILL')
  await exited(child)
  const next = await makeContext('next', 'RUN echo fine\n')
  expect(await build(next)).toContain('fine')
  expect(hostTraces(dataDir, owner)).toEqual(noTraces)
  expect(await readdir(join(dataDir, 'builder/steps'))).toEqual([])
  expect((await run('sh', ['-c', 'pgrep -f "[s]leep 98765" || true'])).stdout.toString()).toBe('')
})

test('a machine that never built takes the steps that another one wrote', async () => {
  const context = await makeContext('shared-cache', 'RUN echo one > /one\nRUN busybox cat /one > /two\n')
  const cache = join(work.path, 'cache')
  await build(context, '--cache-to', `type=local,dest=${cache},mode=max`)
  const from = ['--cache-from', `type=local,src=${cache}`, '--cache-from', 'type=local,src=/nowhere']
  const args = ['build', '--progress=plain', ...from, '-o', `type=oci,dest=${join(work.path, 'cached.tar')}`, context]
  const { stderr } = await run(slipway, args, { env: { ...env(), SLIPWAY_DATA: join(work.path, 'other') } })
  expect(stderr.match(/^#\d+ CACHED$/gm)).toHaveLength(3)
  expect(stderr).not.toContain('not cached')
  expect(stderr).toContain('The cache /nowhere was not imported')
  await run('skopeo', ['inspect', `oci-archive:${join(work.path, 'cached.tar')}`])
})
