import { expect, test } from 'vitest'
import { readConfig, VARIABLES } from '#host/config'

test('an empty environment is one machine with children of its own', () => {
  expect(readConfig({})).toMatchObject({
    dataDir: '/var/lib/slipway',
    baseUrl: 'http://127.0.0.1:3000',
    registryHost: '127.0.0.1:3000',
    registryUrl: 'unix:/var/lib/slipway/registry/registry.sock',
    redisUrl: 'unix:///var/lib/slipway/redis/redis.sock',
    kubeconfigFile: '/var/lib/slipway/kubeconfig',
    ownRedis: true,
    ownRegistry: true,
    ownCluster: true,
  })
})

test.for([
  ['0.0.0.0', 'http://127.0.0.1:3000'],
  ['::', 'http://[::1]:3000'],
  ['fd00::2', 'http://[fd00::2]:3000'],
  ['192.0.2.7', 'http://192.0.2.7:3000'],
] as const)('listening on %s we call ourselves %s', ([host, url]) => {
  expect(readConfig({ SLIPWAY_HOST: host })).toMatchObject({ localUrl: url, baseUrl: url })
})

test('a public URL names the images, without its last slash', () => {
  const config = readConfig({ SLIPWAY_BASE_URL: 'https://ci.example.com/' })
  expect(config).toMatchObject({
    baseUrl: 'https://ci.example.com',
    registryHost: 'ci.example.com',
    localUrl: 'http://127.0.0.1:3000',
  })
})

test('what exists already is used instead of children', () => {
  const config = readConfig({
    REDIS_URL: 'rediss://cache.example.com:6380',
    SLIPWAY_REGISTRY: 'https://registry.example.com',
    SLIPWAY_KUBECONFIG: '/root/.kube/config',
  })
  expect(config).toMatchObject({
    ownRedis: false,
    ownRegistry: false,
    ownCluster: false,
    registryHost: 'registry.example.com',
  })
})

test('an empty variable is an unset one', () => {
  expect(readConfig({ SLIPWAY_PORT: '', REDIS_URL: '' })).toMatchObject({ port: 3000, ownRedis: true })
})

test.for([
  ['SLIPWAY_PORT', '99999'],
  ['SLIPWAY_PORT', 'http'],
  ['SLIPWAY_DATA', 'relative/path'],
  ['REDIS_URL', 'localhost:6379'],
  ['SLIPWAY_CONCURRENCY', '0'],
  ['SLIPWAY_LOG_LEVEL', 'loud'],
  ['SLIPWAY_ALLOW', 'network.hosts'],
  ['SLIPWAY_ALLOW', 'device'],
] as const)('%s=%s is refused by name', ([name, value]) => {
  expect(() => readConfig({ [name]: value })).toThrow(new RegExp(`The environment is wrong: ${name}: `))
})

test('every variable says what it is for', () => {
  for (const [name, { help }] of Object.entries(VARIABLES)) expect(help, name).toMatch(/\w{3,}/)
})

test('what pushed Dockerfiles may do beyond their sandbox is nothing, or what is named', () => {
  expect(readConfig({}).entitlements).toEqual([])
  expect(readConfig({ SLIPWAY_ALLOW: 'network.host, security.insecure,' }).entitlements).toEqual([
    'network.host',
    'security.insecure',
  ])
})

test('limits of the disk are in GB, and parts of the disk where none are given', () => {
  expect(readConfig({})).toMatchObject({ cacheLimits: {}, minFreeBytes: null })
  const given = { SLIPWAY_CACHE_MAX_GB: '50', SLIPWAY_CACHE_RESERVED_GB: '0', SLIPWAY_CACHE_FREE_GB: '1.5' }
  expect(readConfig({ ...given, SLIPWAY_MIN_FREE_GB: '0.5' })).toMatchObject({
    cacheLimits: { maxBytes: 50e9, reservedBytes: 0, minFreeBytes: 1.5e9 },
    minFreeBytes: 0.5e9,
  })
  expect(() => readConfig({ SLIPWAY_CACHE_MAX_GB: '-1' })).toThrow('SLIPWAY_CACHE_MAX_GB')
})
