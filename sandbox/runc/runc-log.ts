import { readFile } from 'node:fs/promises'
import { SlipwayError } from '#domain/errors'

/** A program that could not be started: `exitCode` is what a shell would report, 126 or 127. */
export class ProgramError extends SlipwayError {
  readonly exitCode: number

  constructor(message: string, exitCode: number) {
    super('step-failed', message)
    this.exitCode = exitCode
  }
}

/** The last error that runc logged, or null. Each line of its log is a JSON object. */
export async function readRuncError(logFile: string): Promise<string | null> {
  const text = await readFile(logFile, 'utf8').catch(() => '')
  const errors = text.split('\n').filter(Boolean).flatMap(parseLine)
  return errors.at(-1) ?? null
}

function parseLine(line: string): string[] {
  try {
    const entry: unknown = JSON.parse(line)
    if (typeof entry !== 'object' || entry === null || !('level' in entry) || !('msg' in entry)) return []
    return entry.level === 'error' || entry.level === 'fatal' ? [String(entry.msg)] : []
  } catch {
    // A line that runc did not finish says nothing.
    return []
  }
}

/** What callers ask for and the kernel refuses: a directory, limits, control groups' numbers. */
const OF_ITS_SETTINGS =
  /cwd|rlimit|sethostname|memory limit|cpuset|cpu\.(cfs|shares|max|weight)|memory\.(limit|memsw|max|swap)|too many open files$/

/** Whatever else the kernel says of the program's file, such as a loop of links. */
const UNUSABLE = /^exec: ".*?": (?:(?:stat|exec) \S+: )?(.+)$/

/** Its paths on the host say nothing to whoever asked for the mount. */
const UNMOUNTABLE =
  /^error mounting ".*" to rootfs at "(.*?)": .*?(read-only file system|not a directory|inside \/proc)$/

/** What a failed start means: the user's program is missing or unusable, or something of ours went wrong. */
export function startError(program: string, runcMessage: string | null): SlipwayError {
  const cause = clean(runcMessage ?? 'runc ended without saying why')
  const shown = JSON.stringify(program)
  if (/executable file not found/.test(cause))
    return new ProgramError(`exec: ${shown}: executable file not found in $PATH`, 127)
  if (/exec.*no such file or directory/.test(cause))
    return new ProgramError(`exec: ${shown}: no such file or directory`, 127)
  if (/exec.*(permission denied|is a directory|exec format error)/.test(cause)) {
    const why = /permission denied|is a directory|exec format error/.exec(cause)?.[0] ?? cause
    return new ProgramError(`exec: ${shown}: ${why}`, 126)
  }
  const unusable = UNUSABLE.exec(cause)
  if (unusable) return new ProgramError(`exec: ${shown}: ${unusable[1]}`, 126)
  const mount = UNMOUNTABLE.exec(cause)
  if (mount) return new SlipwayError('step-failed', `nothing can be mounted at ${mount[1]}: ${mount[2]}`)
  if (OF_ITS_SETTINGS.test(cause)) return new SlipwayError('step-failed', `Program ${shown} did not start: ${cause}`)
  return new SlipwayError('internal', `Container of ${shown} did not start: ${cause}`)
}

/** runc puts every layer of its own in front of what happened. */
function clean(message: string): string {
  return message
    .replace(/^(runc (run|exec|create) failed: |unable to start container process: |exec failed: )+/, '')
    .replace(/^error during container init: /, '')
    .replace(/: unknown$/, '')
    .trim()
}
