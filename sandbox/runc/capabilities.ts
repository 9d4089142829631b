/** What Docker grants to root in a container. */
const DEFAULT = [
  'CAP_AUDIT_WRITE',
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_MKNOD',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_RAW',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
] as const

const PRIVILEGED = [
  ...DEFAULT,
  ...['CAP_AUDIT_CONTROL', 'CAP_AUDIT_READ', 'CAP_BLOCK_SUSPEND', 'CAP_BPF', 'CAP_CHECKPOINT_RESTORE'],
  ...['CAP_DAC_READ_SEARCH', 'CAP_IPC_LOCK', 'CAP_IPC_OWNER', 'CAP_LEASE', 'CAP_LINUX_IMMUTABLE', 'CAP_MAC_ADMIN'],
  ...['CAP_MAC_OVERRIDE', 'CAP_NET_ADMIN', 'CAP_NET_BROADCAST', 'CAP_PERFMON', 'CAP_SYSLOG', 'CAP_SYS_ADMIN'],
  ...['CAP_SYS_BOOT', 'CAP_SYS_MODULE', 'CAP_SYS_NICE', 'CAP_SYS_PACCT', 'CAP_SYS_PTRACE', 'CAP_SYS_RAWIO'],
  ...['CAP_SYS_RESOURCE', 'CAP_SYS_TIME', 'CAP_SYS_TTY_CONFIG', 'CAP_WAKE_ALARM'],
] as const

/** The sets of capabilities(7) for a user: only root has them from the start, others may get them from a file. */
export function capabilitiesOf(security: 'default' | 'privileged', uid: number) {
  const bounding = security === 'privileged' ? PRIVILEGED : DEFAULT
  const effective = uid === 0 ? bounding : []
  return { bounding, effective, permitted: effective }
}
