import syscalls from './seccomp-syscalls.json' with { type: 'json' }

/** Flags of clone(2) that make namespaces: CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}. */
const NAMESPACE_FLAGS = 0x7e02_0000
const AF_VSOCK = 40
const EPERM = 1
const ENOSYS = 38
/** PER_LINUX, PER_LINUX32, each with and without UNAME26, and the value that only asks. */
const PERSONALITIES = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff]

const ARCHITECTURES = {
  x64: 'SCMP_ARCH_X86_64',
  arm64: 'SCMP_ARCH_AARCH64',
} as const

/**
 * The system calls that Docker's default set of capabilities may use, for the native architecture only: libseccomp
 * compiles the list at each start, and every further architecture costs about 10 ms. Everything else gives EPERM.
 */
export function seccompProfile(arch: keyof typeof ARCHITECTURES) {
  const allow = 'SCMP_ACT_ALLOW'
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    architectures: [ARCHITECTURES[arch]],
    syscalls: [
      { names: [...syscalls.everywhere, ...syscalls[arch]], action: allow },
      ...PERSONALITIES.map((value) => ({
        names: ['personality'],
        action: allow,
        args: [{ index: 0, value, op: 'SCMP_CMP_EQ' }],
      })),
      { names: ['socket'], action: allow, args: [{ index: 0, value: AF_VSOCK, op: 'SCMP_CMP_NE' }] },
      {
        names: ['clone'],
        action: allow,
        args: [{ index: 0, value: NAMESPACE_FLAGS, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
      },
      // Its flags lie in memory, where a filter cannot look: C libraries fall back to clone(2).
      { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
    ],
  }
}

/** Null where we have no list: such a machine runs containers without a filter. */
export function nativeSeccompProfile(): ReturnType<typeof seccompProfile> | null {
  return process.arch === 'x64' || process.arch === 'arm64' ? seccompProfile(process.arch) : null
}
