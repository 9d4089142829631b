import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { exited, run, spawn } from '#host/exec'

export interface BuildCall {
  /** Directory of the Dockerfile and context, or a repository's address. */
  context: string
  useCache: boolean
  /** Pushed under this name; null keeps the image in the builder. */
  push: string | null
  compression: 'gzip' | 'zstd'
}

export interface Measured {
  tookMs: number
  /** Largest resident set of the builder's own process; null where a service of its own builds. */
  peakBytes: number | null
}

/** A program that builds Dockerfiles. */
export interface Builder {
  readonly name: string
  build(call: BuildCall): Promise<Measured>
  /** Forgets images and caches. */
  reset(): Promise<void>
}

/** Slipway's command, and whatever else of this machine builds and answers. Others are named with the reason. */
export async function findBuilders(dataDir: string, skip: (reason: string) => void): Promise<Builder[]> {
  const builders = [slipway(dataDir)]
  for (const { name, probe, make } of OTHERS) {
    const answer = await run(probe[0], probe.slice(1)).catch((error: unknown) => error)
    if (answer instanceof Error) skip(`${name}: ${answer.message.split('\n')[0]}`)
    else builders.push(make())
  }
  return builders
}

function slipway(dataDir: string): Builder {
  const program = join(import.meta.dirname, '../../slipway')
  return {
    name: 'slipway',
    build: async ({ context, useCache, push, compression }) => {
      const image = push === null ? [] : ['-o', `type=image,name=${push},push=true,compression=${compression}`]
      const cache = useCache ? [] : ['--no-cache']
      return await measure('env', [
        `SLIPWAY_DATA=${dataDir}`,
        program,
        'build',
        '--progress=none',
        ...cache,
        ...image,
        context,
      ])
    },
    reset: () => rm(dataDir, { recursive: true, force: true }),
  }
}

const OTHERS: readonly { name: string; probe: [string, ...string[]]; make: () => Builder }[] = [
  { name: 'buildctl', probe: ['buildctl', 'debug', 'workers'], make: buildctl },
  { name: 'docker', probe: ['docker', 'info'], make: docker },
  { name: 'buildah', probe: ['buildah', 'version'], make: buildah },
]

function buildctl(): Builder {
  return {
    name: 'buildctl',
    build: async ({ context, useCache, push, compression }) => {
      const image = `type=image,name=${push},push=true,registry.insecure=true,compression=${compression},force-compression=true`
      const isRemote = context.includes('://')
      const places = isRemote
        ? ['--opt', `context=${context}`]
        : ['--local', `context=${context}`, '--local', `dockerfile=${context}`]
      const cache = useCache ? [] : ['--no-cache']
      const output = push === null ? [] : ['--output', image]
      return await measure('buildctl', ['build', '--frontend=dockerfile.v0', ...places, ...cache, ...output], false)
    },
    reset: async () => void (await run('buildctl', ['prune', '--all'])),
  }
}

function docker(): Builder {
  return {
    name: 'docker',
    build: async ({ context, useCache, push, compression }) => {
      const image = `type=image,name=${push},push=true,compression=${compression},force-compression=true`
      const output = push === null ? [] : ['--output', image]
      const cache = useCache ? [] : ['--no-cache']
      return await measure('docker', ['buildx', 'build', '--progress=quiet', ...cache, ...output, context], false)
    },
    reset: async () => void (await run('docker', ['builder', 'prune', '--all', '--force'])),
  }
}

function buildah(): Builder {
  const name = 'localhost/slip-bench'
  return {
    name: 'buildah',
    build: async ({ context, useCache, push, compression }) => {
      const cache = useCache ? [] : ['--no-cache']
      const flags = ['--layers', '--isolation=chroot', '--tls-verify=false', '--quiet', ...cache]
      const built = await measure('buildah', ['build', ...flags, '--tag', name, context])
      if (push === null) return built
      const how = ['--tls-verify=false', `--compression-format=${compression}`]
      const pushed = await measure('buildah', ['push', ...how, name, `docker://${push}`])
      return {
        tookMs: built.tookMs + pushed.tookMs,
        peakBytes: Math.max(built.peakBytes ?? 0, pushed.peakBytes ?? 0),
      }
    },
    reset: async () => void (await run('buildah', ['rmi', '--all', '--force'])),
  }
}

const LOOK_EVERY_MS = 20

async function measure(file: string, args: readonly string[], ownsWork = true): Promise<Measured> {
  const startedAt = performance.now()
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-2000)
  })
  let peakBytes = 0
  const look = async () => {
    const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '')
    peakBytes = Math.max(peakBytes, 1024 * Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0))
  }
  const looking = setInterval(() => void look(), LOOK_EVERY_MS)
  try {
    const { code, signal } = await exited(child)
    const tookMs = performance.now() - startedAt
    if (code !== 0) throw new Error(`${file} ended with ${signal ?? `code ${code}`}: ${said.trim()}`)
    return { tookMs, peakBytes: ownsWork ? peakBytes : null }
  } finally {
    clearInterval(looking)
  }
}
