import type * as NodeFfi from 'node:ffi'
import { closeSync, constants, openSync } from 'node:fs'
import { ReadStream } from 'node:tty'
import { SlipwayError } from '#domain/errors'
import { run } from './exec.ts'

interface TerminalSize {
  columns: number
  rows: number
}

/** A pseudo terminal, https://man7.org/linux/man-pages/man7/pty.7.html */
export interface Terminal extends Disposable {
  /** What programs on it print, and, written to, what they read. Ends when no program has it open any more. */
  readonly stream: ReadStream
  /** The end that a program gets as its standard streams; to be closed here once the program has it. */
  readonly programFd: number
  closeProgramEnd(): void
  resize(size: TerminalSize): Promise<void>
}

const O_CLOEXEC = 0o2000000
const NAME_BYTES = 64

const SIGNATURES = {
  posix_openpt: { arguments: ['i32'], return: 'i32' },
  grantpt: { arguments: ['i32'], return: 'i32' },
  unlockpt: { arguments: ['i32'], return: 'i32' },
  ptsname_r: { arguments: ['i32', 'pointer', 'u64'], return: 'i32' },
} as const

/** Fails with kind `unsupported` where this Node has no usable `node:ffi`. */
export function openTerminal(): Terminal {
  const { fd, path } = openPair()
  const programFd = openSync(path, constants.O_RDWR | constants.O_NOCTTY)
  const stream = new ReadStream(fd)
  // The last program's end is an error to read(2), and to us the end of the output.
  stream.on('error', () => stream.destroy())
  let isOpen = true
  const closeProgramEnd = () => {
    if (isOpen) closeSync(programFd)
    isOpen = false
  }
  return {
    stream,
    programFd,
    closeProgramEnd,
    resize: async ({ columns, rows }) => {
      if (stream.destroyed) return
      await run('stty', ['-F', path, 'rows', String(rows), 'cols', String(columns)])
    },
    [Symbol.dispose]: () => {
      closeProgramEnd()
      stream.destroy()
    },
  }
}

function openPair(): { fd: number; path: string } {
  const c = load()
  const fd = c?.posix_openpt(constants.O_RDWR | constants.O_NOCTTY | O_CLOEXEC) ?? -1
  const name = Buffer.alloc(NAME_BYTES)
  const isOpen =
    c && fd >= 0 && c.grantpt(fd) === 0 && c.unlockpt(fd) === 0 && c.ptsname_r(fd, name, BigInt(name.length)) === 0
  if (!isOpen) {
    if (fd >= 0) closeSync(fd)
    throw new SlipwayError('unsupported', 'A terminal could not be opened: this host has no free one, or Node no FFI')
  }
  return { fd, path: name.toString('latin1', 0, name.indexOf(0)) }
}

/** Node warns that its interface is experimental; who has none gets an error of ours. */
function load() {
  const emitWarning = process.emitWarning.bind(process)
  try {
    process.emitWarning = () => {}
    const ffi: typeof NodeFfi | undefined = process.getBuiltinModule('node:ffi')
    return ffi?.dlopen(null, SIGNATURES).functions ?? null
  } catch {
    return null
  } finally {
    process.emitWarning = emitWarning
  }
}
