import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Where the kernel's control groups are mounted: one tree (v2), or one per controller (v1), maybe with a v2 tree beside. */
export interface CgroupHierarchies {
  /** Of the hierarchy that limits memory and processes. */
  readonly version: 1 | 2
  /** Mount point of each v1 controller in use. */
  readonly v1: ReadonlyMap<string, string>
  /** Mount point of the v2 tree, if there is one. */
  readonly v2: string | null
}

const V1_CONTROLLERS = new Set(
  'blkio cpu cpuacct cpuset devices freezer hugetlb memory misc net_cls net_prio perf_event pids rdma'.split(' '),
)

/** Reads mountinfo, https://docs.kernel.org/filesystems/proc.html#proc-pid-mountinfo-information-about-mounts */
export function findHierarchies(mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')): CgroupHierarchies {
  const v1 = new Map<string, string>()
  let v2: string | null = null
  for (const line of mountinfo.split('\n')) {
    const [left = '', right = ''] = line.split(' - ')
    const mountPoint = left.split(' ')[4]
    const [type, , superOptions = ''] = right.split(' ')
    if (!mountPoint) continue
    if (type === 'cgroup2') v2 ??= mountPoint
    if (type !== 'cgroup') continue
    for (const option of superOptions.split(',')) {
      const known = V1_CONTROLLERS.has(option) || option.startsWith('name=')
      if (known && !v1.has(option)) v1.set(option, mountPoint)
    }
  }
  return { version: v1.has('memory') ? 1 : 2, v1, v2 }
}

/** The directories of one control group, one per hierarchy, whether or not they exist. */
export function directoriesOf(hierarchies: CgroupHierarchies, path: string): string[] {
  const roots = new Set([...hierarchies.v1.values(), ...(hierarchies.v2 === null ? [] : [hierarchies.v2])])
  return [...roots].map((root) => join(root, path))
}
