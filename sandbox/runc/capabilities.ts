/** By their numbers, from 0, https://man7.org/linux/man-pages/man7/capabilities.7.html */
const BY_NUMBER = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE ' +
  'NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN ' +
  'SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE ' +
  'MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
).split(' ')

/** What Docker grants to root in a container. */
const DEFAULT = new Set(
  (
    'AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID ' +
    'SYS_CHROOT'
  ).split(' '),
)

/** The names of a mask such as `CapPrm` in /proc/self/status. */
export function capabilitiesIn(mask: bigint): string[] {
  return BY_NUMBER.filter((_, number) => (mask >> BigInt(number)) & 1n).map((name) => `CAP_${name}`)
}

/**
 * The sets of capabilities(7) for a user: only root has them from the start, others may get them from a file. `ours`
 * are those of this process, which cannot give away more.
 */
export function capabilitiesOf(security: 'default' | 'privileged', uid: number, ours: readonly string[]) {
  const bounding = security === 'privileged' ? ours : ours.filter((name) => DEFAULT.has(name.slice('CAP_'.length)))
  const effective = uid === 0 ? bounding : []
  return { bounding, effective, permitted: effective }
}
