import { readFileSync } from 'node:fs'

/** When a process started, in clock ticks since boot; null where there is none. With it a pid is not taken for a later one. */
export function startTimeOf(pid: number): string | null {
  try {
    // Field 22; the second one is a name in parentheses that may hold anything.
    // https://docs.kernel.org/filesystems/proc.html#process-specific-subdirectories
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // A zombie does nothing any more.
    return state === 'Z' || state === 'X' ? null : (fields[18] ?? null)
  } catch {
    return null
  }
}
