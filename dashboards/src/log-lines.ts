import type { BuildEvent } from '#domain/build-event'

type LogEvent = Extract<BuildEvent, { kind: 'log' }>

/** One line of a build's log. Its number is absolute: the same on every page, in every download, for ever. */
export interface LogLine {
  number: number
  step: string | null
  stream: LogEvent['stream']
  text: string
  atMs: number
  /** The line has not ended: another one may get its number. */
  isPreview?: boolean
}

/**
 * Adds a log event's lines in place and says whether anything changed. A preview is replaced by whatever whole line gets
 * its number, and replaces none; lines that are there already (a stream that was resumed) stay as they are.
 */
export function addLogLines(lines: LogLine[], event: LogEvent): boolean {
  const texts = event.text.split('\n')
  if (texts.at(-1) === '') texts.pop()
  const isPreview = event.unfinished === true
  const inPlace = lines[event.firstLine - 1]
  if (isPreview && inPlace && !inPlace.isPreview) return false
  for (const [offset, text] of texts.entries()) {
    const number = event.firstLine + offset
    lines[number - 1] = {
      number,
      step: event.step,
      stream: event.stream,
      text: afterLastReturn(text),
      atMs: event.atMs,
      isPreview,
    }
  }
  return texts.length > 0
}

/** Removes what was shown of a line that nobody will end: its attempt has. */
export function dropPreview(lines: LogLine[]): void {
  if (lines.at(-1)?.isPreview) lines.pop()
}

/** A progress bar rewrites its line with carriage returns: what a terminal would show is what came after the last. */
function afterLastReturn(text: string): string {
  const trimmed = text.replace(/\r+$/, '')
  return trimmed.slice(trimmed.lastIndexOf('\r') + 1)
}
