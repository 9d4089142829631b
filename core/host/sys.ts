import type { Sys } from './sys-calls.ts'
import { openFfiSys } from './sys-ffi.ts'
import { openToolSys } from './sys-tools.ts'

export type { Sys } from './sys-calls.ts'
export { bytePath, MS, S_IF, SysError } from './sys-calls.ts'

/** Opens the calls of this thread: by `node:ffi`, or where this Node has none, by tools. */
export function openSys(): Sys {
  return openFfiSys() ?? openToolSys()
}
