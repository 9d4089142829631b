import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { startTimeOf } from './start-time.ts'

/** What is told of a supervised process, in `run/children.json`. */
export interface ChildState {
  name: string
  pid: number | null
  /** Of the process, so that a later one with its pid is not taken for it. */
  startTime: string | null
  /** `starting` until it can be used, `waiting` for the next try. */
  state: 'starting' | 'running' | 'waiting' | 'stopped'
  restarts: number
  lastExit: string | null
  /** How long it waits. */
  delayMs: number | null
}

const Earlier = z.array(z.object({ pid: z.number().nullable(), startTime: z.string().nullable() }))
const LOOK_AGAIN_MS = 50
/** What its supervisor's death tells to stop is given so long. */
const GRACE_MS = 10_000

export function childStatesFile(dataDir: string): string {
  return join(dataDir, 'run', 'children.json')
}

/**
 * Waits for the children of a supervisor that was killed: the kernel has told them to end, and two servers must not
 * share a directory. Who takes too long is killed.
 */
export async function untilEarlierChildrenEnd(dataDir: string, graceMs: number = GRACE_MS): Promise<void> {
  const text = await readFile(childStatesFile(dataDir), 'utf8').catch(() => '[]')
  const children = z.string().transform(parseJson).pipe(Earlier).safeParse(text).data ?? []
  let remaining = children.flatMap(({ pid, startTime }) => (pid !== null && startTime ? [{ pid, startTime }] : []))
  const untilMs = performance.now() + graceMs
  for (;;) {
    remaining = remaining.filter(({ pid, startTime }) => startTimeOf(pid) === startTime)
    if (remaining.length === 0) return
    if (performance.now() > untilMs) for (const { pid } of remaining) process.kill(pid, 'SIGKILL')
    await sleep(LOOK_AGAIN_MS)
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
