import { join } from 'node:path'
import { z } from 'zod'
import { SlipwayError } from '#domain/errors'

const port = z.coerce.number().int().min(1).max(65_535)
const count = z.coerce.number().int().min(1).max(1024)
const gigabytes = z.coerce.number().min(0)
const megabytes = z.coerce.number().int().min(16)

const ALLOWED = ['network.host', 'security.insecure'] as const
type Allowed = (typeof ALLOWED)[number]

function readAllowed(text: string, context: z.RefinementCtx): Allowed[] {
  const words = text.split(',').map((word) => word.trim())
  const allowed = ALLOWED.filter((name) => words.includes(name))
  const unknown = words.find((word) => word !== '' && !ALLOWED.some((name) => name === word))
  if (unknown !== undefined)
    context.addIssue({ code: 'custom', message: `${unknown} is unknown, expected ${ALLOWED.join(' or ')}` })
  return allowed
}

/** Every variable Slipway reads, with its meaning; `--help` prints this table. */
export const VARIABLES = {
  SLIPWAY_DATA: {
    schema: z.string().startsWith('/').default('/var/lib/slipway'),
    help: 'directory of everything that is kept',
  },
  SLIPWAY_HOST: { schema: z.string().min(1).default('127.0.0.1'), help: 'address to listen on' },
  SLIPWAY_PORT: { schema: port.default(3000), help: 'port of dashboard, API, git and registry' },
  SLIPWAY_BASE_URL: {
    schema: z.url().optional(),
    help: 'public URL, which image names begin with (default http://HOST:PORT)',
  },
  REDIS_URL: {
    schema: z
      .string()
      .regex(/^(rediss?|unix):\/\//)
      .optional(),
    help: 'Redis (default: our own redis-server child)',
  },
  SLIPWAY_REGISTRY: { schema: z.url().optional(), help: 'OCI registry (default: our own docker-registry child)' },
  SLIPWAY_REGISTRIES: {
    schema: z.string().optional(),
    help: 'JSON file: search order, blocked, insecure, mirrors, credentials per registry host',
  },
  SLIPWAY_KUBECONFIG: {
    schema: z.string().optional(),
    help: 'kubeconfig of the cluster (default: our own cluster process)',
  },
  SLIPWAY_CLUSTER_PORT: { schema: port.default(6443), help: 'port of our own Kubernetes API' },
  SLIPWAY_CONCURRENCY: { schema: count.default(2), help: 'builds at once per worker' },
  SLIPWAY_STEP_MEMORY_MB: { schema: megabytes.default(4096), help: 'memory limit of one build step, in MiB' },
  SLIPWAY_STEP_PIDS: { schema: count.max(1_000_000).default(4096), help: 'process limit of one build step' },
  SLIPWAY_ALLOW: {
    schema: z.string().default('').transform(readAllowed),
    help: 'what Dockerfiles of pushes may do beyond their sandbox: network.host, security.insecure (default: nothing)',
  },
  SLIPWAY_BUILD_TIMEOUT_S: {
    schema: z.coerce.number().int().min(1).default(3600),
    help: 'time limit of one build, in seconds',
  },
  SLIPWAY_CACHE_RESERVED_GB: {
    schema: gigabytes.optional(),
    help: 'kept of what builds can use again in any case, in GB (default: 10, at most 10 % of the disk)',
  },
  SLIPWAY_CACHE_MAX_GB: {
    schema: gigabytes.optional(),
    help: 'kept of it at most, in GB (default: 100, at most 80 % of the disk)',
  },
  SLIPWAY_CACHE_FREE_GB: {
    schema: gigabytes.optional(),
    help: 'left free on the disk by it, in GB (default: 20 % of the disk)',
  },
  SLIPWAY_MIN_FREE_GB: {
    schema: gigabytes.optional(),
    help: 'free space below which a worker takes no builds, in GB (default: 2, at most 5 % of the disk)',
  },
  SLIPWAY_LOG_LEVEL: {
    schema: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
    help: 'level of the operators’ log',
  },
} as const satisfies Record<string, { schema: z.ZodType; help: string }>

export interface Config {
  readonly dataDir: string
  readonly host: string
  readonly port: number
  /** What people and other machines call us. */
  readonly baseUrl: string
  /** What this machine calls us, whatever the public address is. */
  readonly localUrl: string
  readonly redisUrl: string
  /** Whether redis-server and docker-registry are children of ours. */
  readonly ownRedis: boolean
  readonly ownRegistry: boolean
  /** Where the registry answers HTTP: a URL, or `unix:` and a socket path for our own child. */
  readonly registryUrl: string
  /** The host[:port] that names of pushed images start with. */
  readonly registryHost: string
  readonly registriesFile: string | null
  readonly ownCluster: boolean
  readonly kubeconfigFile: string
  readonly clusterPort: number
  readonly concurrency: number
  readonly stepMemoryBytes: number
  readonly stepPids: number
  /** What Dockerfiles of pushes may do beyond their sandbox. */
  readonly entitlements: readonly Allowed[]
  readonly buildTimeoutMs: number
  /** What may be kept on the disk; a part of it where nothing is given. */
  readonly cacheLimits: { readonly reservedBytes?: number; readonly maxBytes?: number; readonly minFreeBytes?: number }
  /** Below so much free space no builds are taken; null is a part of the disk. */
  readonly minFreeBytes: number | null
  readonly logLevel: string
}

const Environment = z.object({
  SLIPWAY_DATA: VARIABLES.SLIPWAY_DATA.schema,
  SLIPWAY_HOST: VARIABLES.SLIPWAY_HOST.schema,
  SLIPWAY_PORT: VARIABLES.SLIPWAY_PORT.schema,
  SLIPWAY_BASE_URL: VARIABLES.SLIPWAY_BASE_URL.schema,
  REDIS_URL: VARIABLES.REDIS_URL.schema,
  SLIPWAY_REGISTRY: VARIABLES.SLIPWAY_REGISTRY.schema,
  SLIPWAY_REGISTRIES: VARIABLES.SLIPWAY_REGISTRIES.schema,
  SLIPWAY_KUBECONFIG: VARIABLES.SLIPWAY_KUBECONFIG.schema,
  SLIPWAY_CLUSTER_PORT: VARIABLES.SLIPWAY_CLUSTER_PORT.schema,
  SLIPWAY_CONCURRENCY: VARIABLES.SLIPWAY_CONCURRENCY.schema,
  SLIPWAY_STEP_MEMORY_MB: VARIABLES.SLIPWAY_STEP_MEMORY_MB.schema,
  SLIPWAY_STEP_PIDS: VARIABLES.SLIPWAY_STEP_PIDS.schema,
  SLIPWAY_ALLOW: VARIABLES.SLIPWAY_ALLOW.schema,
  SLIPWAY_BUILD_TIMEOUT_S: VARIABLES.SLIPWAY_BUILD_TIMEOUT_S.schema,
  SLIPWAY_CACHE_RESERVED_GB: VARIABLES.SLIPWAY_CACHE_RESERVED_GB.schema,
  SLIPWAY_CACHE_MAX_GB: VARIABLES.SLIPWAY_CACHE_MAX_GB.schema,
  SLIPWAY_CACHE_FREE_GB: VARIABLES.SLIPWAY_CACHE_FREE_GB.schema,
  SLIPWAY_MIN_FREE_GB: VARIABLES.SLIPWAY_MIN_FREE_GB.schema,
  SLIPWAY_LOG_LEVEL: VARIABLES.SLIPWAY_LOG_LEVEL.schema,
})

/** Reads the environment once; a wrong value ends in one clear line. Only `main.ts` files call this. */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  // An empty variable is an unset one, as in docker-compose files.
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
  const parsed = Environment.safeParse(set)
  if (!parsed.success) {
    const wrong = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')
    throw new SlipwayError('invalid', `The environment is wrong: ${wrong}. ./slipway up --help lists every variable.`)
  }
  return Object.freeze(toConfig(parsed.data))
}

/** A variable that a user names on the command line, as in `--build-arg NAME` and `--secret env=NAME`. */
export function environmentValue(name: string, env: NodeJS.ProcessEnv = process.env): string | undefined {
  return env[name]
}

function toConfig(env: z.infer<typeof Environment>): Config {
  const dataDir = env.SLIPWAY_DATA
  const localUrl = `http://${reachableHost(env.SLIPWAY_HOST)}:${env.SLIPWAY_PORT}`
  const baseUrl = (env.SLIPWAY_BASE_URL ?? localUrl).replace(/\/+$/, '')
  return {
    dataDir,
    host: env.SLIPWAY_HOST,
    port: env.SLIPWAY_PORT,
    baseUrl,
    localUrl,
    redisUrl: env.REDIS_URL ?? `unix://${join(dataDir, 'redis', 'redis.sock')}`,
    ownRedis: env.REDIS_URL === undefined,
    ownRegistry: env.SLIPWAY_REGISTRY === undefined,
    registryUrl: env.SLIPWAY_REGISTRY ?? `unix:${join(dataDir, 'registry', 'registry.sock')}`,
    registryHost: new URL(env.SLIPWAY_REGISTRY ?? baseUrl).host,
    registriesFile: env.SLIPWAY_REGISTRIES ?? null,
    ownCluster: env.SLIPWAY_KUBECONFIG === undefined,
    kubeconfigFile: env.SLIPWAY_KUBECONFIG ?? join(dataDir, 'kubeconfig'),
    clusterPort: env.SLIPWAY_CLUSTER_PORT,
    concurrency: env.SLIPWAY_CONCURRENCY,
    stepMemoryBytes: env.SLIPWAY_STEP_MEMORY_MB * 1024 * 1024,
    stepPids: env.SLIPWAY_STEP_PIDS,
    entitlements: env.SLIPWAY_ALLOW,
    buildTimeoutMs: env.SLIPWAY_BUILD_TIMEOUT_S * 1000,
    cacheLimits: {
      ...bytesOf('reservedBytes', env.SLIPWAY_CACHE_RESERVED_GB),
      ...bytesOf('maxBytes', env.SLIPWAY_CACHE_MAX_GB),
      ...bytesOf('minFreeBytes', env.SLIPWAY_CACHE_FREE_GB),
    },
    minFreeBytes: env.SLIPWAY_MIN_FREE_GB === undefined ? null : env.SLIPWAY_MIN_FREE_GB * 1e9,
    logLevel: env.SLIPWAY_LOG_LEVEL,
  }
}

/** A server on all addresses is reached on the loopback one; IPv6 addresses stand in brackets in a URL. */
function reachableHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}

function bytesOf<Name extends string>(name: Name, gigabytes: number | undefined): { [N in Name]?: number } {
  return gigabytes === undefined ? {} : ({ [name]: gigabytes * 1e9 } as { [N in Name]?: number })
}
