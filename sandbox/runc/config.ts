import type { ContainerMount, ContainerSpec } from '../contract.ts'
import { deviceNodes, hostDevices } from './devices.ts'
import { type OwnLimits, processConfig } from './process-config.ts'
import { resourcesOf } from './resources.ts'
import { nativeSeccompProfile } from './seccomp.ts'

/** What a container's configuration takes from its host. */
export interface HostSettings {
  cgroupsPath: string
  ours: OwnLimits
  /** Whether the kernel counts swap, so that it can be forbidden. */
  limitsSwap: boolean
  /** Files of this container's own. */
  resolvConf: string
  hosts: string
}

const SHM_BYTES = 64 * 1024 * 1024

/** Hidden because they tell of, or reach into, the host. */
const MASKED = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
]
const READONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']

/** The bundle's config.json, https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md */
export function ociConfig(spec: ContainerSpec, host: HostSettings) {
  const privileged = spec.security === 'privileged'
  const nodes = deviceNodes([...(privileged ? hostDevices() : []), ...(spec.devices ?? [])])
  return {
    ociVersion: '1.0.2',
    root: { path: spec.rootDir, readonly: spec.readonlyRoot },
    hostname: spec.hostname,
    process: processConfig({ ...spec, ours: host.ours }),
    mounts: [
      ...systemMounts(privileged, spec.shmSizeBytes ?? SHM_BYTES),
      ...fileMounts(spec, host),
      ...spec.mounts.map(toOciMount),
    ],
    linux: {
      cgroupsPath: host.cgroupsPath,
      namespaces: namespacesOf(spec),
      ...(nodes.length > 0 ? { devices: nodes.map(({ node }) => node) } : {}),
      resources: {
        devices: [{ allow: privileged, access: 'rwm' }, ...(privileged ? [] : nodes.map(({ rule }) => rule))],
        ...resourcesOf(spec.limits, host.limitsSwap),
      },
      // Ports below 1024 are no privilege in a network of one's own.
      ...(spec.network === 'host' ? {} : { sysctl: { 'net.ipv4.ip_unprivileged_port_start': '0' } }),
      ...(privileged ? {} : { maskedPaths: MASKED, readonlyPaths: READONLY, seccomp: nativeSeccompProfile() }),
    },
  }
}

function namespacesOf({ network }: ContainerSpec) {
  const own = ['pid', 'ipc', 'uts', 'mount', 'cgroup'].map((type) => ({ type }))
  if (network === 'host') return own
  if (network === 'none') return [...own, { type: 'network' }]
  return [...own, { type: 'network', path: network.path }]
}

function systemMounts(privileged: boolean, shmBytes: number) {
  const none = ['nosuid', 'noexec', 'nodev']
  const access = privileged ? 'rw' : 'ro'
  return [
    mount('/proc', 'proc', none),
    mount('/dev', 'tmpfs', ['nosuid', 'strictatime', 'mode=755', 'size=65536k']),
    mount('/dev/pts', 'devpts', ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5']),
    mount('/dev/shm', 'tmpfs', [...none, 'mode=1777', `size=${shmBytes}`]),
    mount('/dev/mqueue', 'mqueue', none),
    mount('/sys', 'sysfs', [...none, access]),
    mount('/sys/fs/cgroup', 'cgroup', [...none, 'relatime', access]),
  ]
}

function mount(destination: string, type: string, options: readonly string[]) {
  return { destination, type, source: type, options }
}

/** Our own files for the resolver, unless the caller brings its own. */
function fileMounts(spec: ContainerSpec, host: HostSettings) {
  const files = [
    ['/etc/resolv.conf', host.resolvConf],
    ['/etc/hosts', host.hosts],
  ] as const
  return files
    .filter(([target]) => !spec.mounts.some((mount) => mount.target === target))
    .map(([target, source]) => toOciMount({ kind: 'bind', source, target, readonly: false }))
}

function toOciMount(mount: ContainerMount) {
  switch (mount.kind) {
    case 'bind': {
      const flags = mount.inert ? ['nosuid', 'nodev', 'noexec'] : []
      const options = ['rbind', 'rprivate', mount.readonly ? 'ro' : 'rw', ...flags]
      return { destination: mount.target, type: 'bind', source: mount.source, options }
    }
    case 'tmpfs': {
      const size = mount.sizeBytes === null ? [] : [`size=${mount.sizeBytes}`]
      const options = ['nosuid', 'nodev', `mode=${mount.mode.toString(8)}`, ...size]
      return { destination: mount.target, type: 'tmpfs', source: 'tmpfs', options }
    }
    default:
      return mount satisfies never
  }
}
