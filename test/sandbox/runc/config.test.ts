import { describe, expect, test } from 'vitest'
import type { ContainerSpec } from '#sandbox'
import { capabilitiesIn } from '../../../sandbox/runc/capabilities.ts'
import { ociConfig } from '../../../sandbox/runc/config.ts'
import { seccompProfile } from '../../../sandbox/runc/seccomp.ts'

const everything = capabilitiesIn((1n << 41n) - 1n)
const host = {
  cgroupsPath: '/slipway/me-abc/ctr_1',
  ours: { oomScoreAdj: 3, openFiles: 20_000, capabilities: everything },
  limitsSwap: true,
  resolvConf: '/data/resolv.conf',
  hosts: '/data/hosts',
}
const spec: ContainerSpec = {
  rootDir: '/data/root',
  args: ['sh'],
  env: ['A=1'],
  workingDir: '/srv',
  user: { uid: 0, gid: 0, additionalGids: [4] },
  hostname: 'box',
  network: 'none',
  mounts: [],
  limits: { memoryBytes: 64 << 20, cpus: 1.5, pids: 9 },
  readonlyRoot: true,
  security: 'default',
}

describe('configuration of a container', () => {
  test('carries program, limits and names', () => {
    const config = ociConfig(spec, host)
    expect(config).toMatchObject({
      root: { path: '/data/root', readonly: true },
      hostname: 'box',
      process: {
        terminal: false,
        args: ['sh'],
        env: ['A=1'],
        cwd: '/srv',
        user: { uid: 0, gid: 0, additionalGids: [4], umask: 0o022 },
        oomScoreAdj: 3,
        rlimits: [{ type: 'RLIMIT_NOFILE', soft: 1024, hard: 20_000 }],
      },
      linux: {
        cgroupsPath: '/slipway/me-abc/ctr_1',
        resources: {
          memory: { limit: 64 << 20, swap: 64 << 20 },
          cpu: { quota: 150_000, period: 100_000 },
          pids: { limit: 9 },
          devices: [{ allow: false, access: 'rwm' }],
        },
      },
    })
  })

  test('leaves out what is not limited, and swap where the kernel does not count it', () => {
    const unlimited = { memoryBytes: null, cpus: null, pids: null }
    expect(Object.keys(ociConfig({ ...spec, limits: unlimited }, host).linux.resources)).toEqual(['devices'])
    expect(ociConfig(spec, { ...host, limitsSwap: false }).linux.resources).toMatchObject({
      memory: { limit: 64 << 20 },
    })
    expect(JSON.stringify(ociConfig(spec, { ...host, limitsSwap: false }))).not.toContain('"swap"')
  })

  test('has what the caller asks for: shares, sets, swap, limits by name, sizes, devices', () => {
    const limits = {
      memoryBytes: 1 << 20,
      cpus: 4,
      pids: null,
      memorySwapBytes: -1,
      cpuShares: 99,
      cpuQuotaUs: 7000,
      cpusetCpus: '0-1',
      cpusetMems: '0',
    }
    const rlimits = [
      { name: 'nofile', soft: 5, hard: 6 },
      { name: 'memlock', soft: -1, hard: -1 },
    ]
    const devices = [{ source: '/dev/null', target: '/dev/nothing', permissions: 'r' }]
    const { process, linux, mounts } = ociConfig({ ...spec, limits, rlimits, devices, shmSizeBytes: 4096 }, host)
    const unlimited = '18446744073709551615'
    expect(JSON.stringify(process.rlimits)).toBe(
      `[{"type":"RLIMIT_NOFILE","soft":5,"hard":6},{"type":"RLIMIT_MEMLOCK","soft":${unlimited},"hard":${unlimited}}]`,
    )
    const rule = { type: 'c', major: 1, minor: 3 }
    expect(linux.devices).toMatchObject([{ path: '/dev/nothing', ...rule, fileMode: 0o666, uid: 0, gid: 0 }])
    expect(linux.resources).toEqual({
      devices: [
        { allow: false, access: 'rwm' },
        { allow: true, ...rule, access: 'r' },
      ],
      memory: { limit: 1 << 20, swap: -1 },
      cpu: { shares: 99, quota: 7000, cpus: '0-1', mems: '0' },
    })
    expect(mounts.find(({ destination }) => destination === '/dev/shm')?.options).toContain('size=4096')
    expect(() => ociConfig({ ...spec, rlimits: [{ name: 'x', soft: 1, hard: 1 }] }, host)).toThrow(
      'invalid ulimit type: x',
    )
  })

  test.for([
    ['none', { type: 'network' }],
    ['host', undefined],
    [
      { path: '/run/n1', address: '10.1.2.3' },
      { type: 'network', path: '/run/n1' },
    ],
  ] as const)('network %o', ([network, expected]) => {
    const whole = typeof network === 'string' ? network : { ...network, [Symbol.asyncDispose]: async () => {} }
    const { namespaces, sysctl } = ociConfig({ ...spec, network: whole }, host).linux
    expect(namespaces.find(({ type }) => type === 'network')).toEqual(expected)
    expect(namespaces.map(({ type }) => type)).toEqual(expect.arrayContaining(['pid', 'ipc', 'uts', 'mount', 'cgroup']))
    expect(sysctl === undefined).toBe(network === 'host')
  })

  test('the caller’s mounts come last and replace our files', () => {
    const bind = { kind: 'bind', source: '/x', target: '/etc/hosts', readonly: true } as const
    const { mounts } = ociConfig({ ...spec, mounts: [bind] }, host)
    expect(mounts.filter(({ destination }) => destination.startsWith('/etc/'))).toEqual([
      {
        destination: '/etc/resolv.conf',
        type: 'bind',
        source: '/data/resolv.conf',
        options: ['rbind', 'rprivate', 'rw'],
      },
      { destination: '/etc/hosts', type: 'bind', source: '/x', options: ['rbind', 'rprivate', 'ro'] },
    ])
    expect(mounts.find(({ destination }) => destination === '/dev/shm')?.options).toContain('size=67108864')
    const inert = ociConfig({ ...spec, mounts: [{ ...bind, inert: true }] }, host).mounts.at(-1)?.options
    expect(inert).toEqual(['rbind', 'rprivate', 'ro', 'nosuid', 'nodev', 'noexec'])
  })

  test.for([
    ['default', 0, 14, 14],
    ['default', 5, 14, 0],
    ['privileged', 0, 41, 41],
  ] as const)('%s as user %d', ([security, uid, bounding, effective]) => {
    const { process, linux } = ociConfig({ ...spec, security, user: { uid, gid: 0, additionalGids: [] } }, host)
    expect(process.capabilities.bounding).toHaveLength(bounding)
    expect(process.capabilities.effective).toHaveLength(effective)
    expect('seccomp' in linux).toBe(security === 'default')
    expect('maskedPaths' in linux).toBe(security === 'default')
  })

  test('gives away no capability that we do not have', () => {
    const poor = { ...host, ours: { ...host.ours, capabilities: ['CAP_CHOWN', 'CAP_SYS_ADMIN'] } }
    expect(ociConfig(spec, poor).process.capabilities.bounding).toEqual(['CAP_CHOWN'])
    expect(ociConfig({ ...spec, security: 'privileged' }, poor).process.capabilities.bounding).toEqual([
      'CAP_CHOWN',
      'CAP_SYS_ADMIN',
    ])
  })
})

test.for([
  ['x64', 'SCMP_ARCH_X86_64', 'arch_prctl', 'sync_file_range2'],
  ['arm64', 'SCMP_ARCH_AARCH64', 'sync_file_range2', 'arch_prctl'],
] as const)('system calls of %s', ([arch, name, own, other]) => {
  const { architectures, defaultAction, syscalls } = seccompProfile(arch)
  expect([architectures, defaultAction]).toEqual([[name], 'SCMP_ACT_ERRNO'])
  const free = syscalls
    .filter((rule) => rule.action === 'SCMP_ACT_ALLOW' && !('args' in rule))
    .flatMap(({ names }) => names)
  expect(free).toEqual(expect.arrayContaining([own, 'execve', 'openat', 'ptrace', 'statx', 'chroot']))
  for (const denied of [
    other,
    'mount',
    'bpf',
    'keyctl',
    'unshare',
    'setns',
    'kexec_load',
    'io_uring_setup',
    'clone',
    'socket',
    'reboot',
  ])
    expect(free).not.toContain(denied)
})
