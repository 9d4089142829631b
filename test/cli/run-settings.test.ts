import { expect, test } from 'vitest'
import { DEFAULT_RUN_SETTINGS } from '#buildkit-lite'
import { UsageError } from '../../cli/exit-codes.ts'
import { readHosts, readNetwork, readRunSettings } from '../../cli/run-settings.ts'

const NOTHING = { allow: [], ulimit: [] }

test('without a flag nothing is asked for', () => {
  expect(readRunSettings(NOTHING)).toEqual(DEFAULT_RUN_SETTINGS)
  expect(readRunSettings({ ...NOTHING, shmSize: '0', cpuShares: '0', memory: '0' })).toEqual(DEFAULT_RUN_SETTINGS)
})

test('bounds of steps are read with their units', () => {
  const flags = {
    shmSize: '128m',
    memory: '1g',
    memorySwap: '2g',
    cpuShares: '512',
    cpuPeriod: '100000',
    cpuQuota: '50000',
    cpusetCpus: '0-2,4',
    cpusetMems: '0',
  }
  expect(readRunSettings({ ...NOTHING, ...flags })).toMatchObject({
    shmSizeBytes: 128 * 1024 ** 2,
    resources: {
      memoryBytes: 1024 ** 3,
      memorySwapBytes: 2 * 1024 ** 3,
      cpuShares: 512,
      cpuPeriodUs: 100_000,
      cpuQuotaUs: 50_000,
      cpusetCpus: '0-2,4',
      cpusetMems: '0',
    },
  })
  expect(readRunSettings({ ...NOTHING, memorySwap: '-1' }).resources.memorySwapBytes).toBe(-1)
})

test('limits have a soft and a hard value, and the last of a name counts', () => {
  const ulimit = ['nofile=10', 'nofile=1024:2048', 'core=-1', 'nproc=5:-1']
  expect(readRunSettings({ ...NOTHING, ulimit }).ulimits).toEqual([
    { name: 'nofile', soft: 1024, hard: 2048 },
    { name: 'core', soft: -1, hard: -1 },
    { name: 'nproc', soft: 5, hard: -1 },
  ])
})

test.for<[Partial<Parameters<typeof readRunSettings>[0]>, string]>([
  [{ ulimit: ['nofile'] }, 'is not NAME=SOFT[:HARD]'],
  [{ ulimit: ['files=1'] }, 'there is no limit "files"'],
  [{ ulimit: ['nofile=2:1'] }, 'the soft limit is above the hard one'],
  [{ ulimit: ['nofile=-1:1'] }, 'the soft limit is above the hard one'],
  [{ shmSize: 'big' }, '--shm-size "big" is no size'],
  [{ memory: '-5' }, '--memory "-5" is no size'],
  [{ memorySwap: '1g' }, '--memory-swap needs --memory'],
  [{ memory: '2g', memorySwap: '1g' }, 'is less than --memory'],
  [{ cpuShares: '-2' }, '--cpu-shares "-2" is no positive number'],
  [{ cpuQuota: '1.5' }, '--cpu-quota "1.5" is no positive number'],
  [{ cpusetCpus: 'a' }, '--cpuset-cpus "a" is no list'],
  [{ allow: ['everything'] }, '--allow "everything" is unknown'],
])('%j is a mistake', ([flags, message]) => {
  const read = () => readRunSettings({ ...NOTHING, ...flags })
  expect(read).toThrow(UsageError)
  expect(read).toThrow(message)
})

test('the host’s network for the whole build allows it; a RUN alone needs --allow', () => {
  expect(readRunSettings({ ...NOTHING, network: 'host' }).entitlements).toEqual(['network.host'])
  expect(readRunSettings({ ...NOTHING, allow: ['security.insecure,network.host'] }).entitlements).toEqual([
    'security.insecure',
    'network.host',
  ])
  expect([undefined, '', 'bridge', 'none', 'host'].map(readNetwork)).toEqual([
    'default',
    'default',
    'default',
    'none',
    'host',
  ])
  expect(() => readNetwork('container:x')).toThrow('--network "container:x" is not supported')
})

test.for<[string, object]>([
  ['db:10.0.0.1', { name: 'db', address: '10.0.0.1' }],
  ['db=10.0.0.1', { name: 'db', address: '10.0.0.1' }],
  ['db:[::1]', { name: 'db', address: '::1' }],
  ['db:fd00::1', { name: 'db', address: 'fd00::1' }],
])('--add-host %s', ([flag, expected]) => {
  expect(readHosts([flag])).toEqual([expected])
})

test.for(['db', 'db:nowhere', ':1.2.3.4', 'db:', 'db:host-gateway'])('--add-host %s is a mistake', (flag) => {
  expect(() => readHosts([flag])).toThrow(UsageError)
})

test('on the host’s own network its gateway is the loopback', () => {
  expect(readHosts(['db:host-gateway'], 'host')).toEqual([{ name: 'db', address: '127.0.0.1' }])
})
