import { stripVTControlCharacters } from 'node:util'
import { type Build, type BuildWarning, warningLine } from '#domain/build'
import type { BuildEvent } from '#domain/build-event'

/** Tells a build's events as lines of text, for whoever watches from a terminal. Keeps the steps' names between events. */
export class BuildNarrator {
  readonly #build: Build
  readonly #url: string
  readonly #titles = new Map<string, string>()
  /** Lines of the log that say again what was told in more words. */
  readonly #told = new Set<string>()

  constructor(build: Build, url: string) {
    this.#build = build
    this.#url = url
  }

  /** The lines of one event, each with the build's number before it. */
  tell(event: BuildEvent): string[] {
    return this.#lines(event).map((line) => `[build ${this.#build.number}] ${line}`)
  }

  #lines(event: BuildEvent): string[] {
    switch (event.kind) {
      case 'queued':
        return [`queued: ${this.#build.project} ${event.order.ref} at ${event.order.commit.slice(0, 12)}`, this.#url]
      case 'waiting':
        return [`waiting for ${event.reason}`]
      case 'started':
        return event.attempt > 1 ? [`started, attempt ${event.attempt}`] : ['started']
      case 'worker-lost':
        return [`its worker was lost (${event.reason}); it waits for another`]
      case 'planned':
        for (const step of event.steps) this.#titles.set(step.id, step.title)
        return []
      case 'warnings':
        for (const warning of event.warnings) this.#told.add(warningLine(warning))
        return event.warnings.flatMap(warningLines)
      case 'step-started':
        return [oneLine(this.#title(event.step))]
      case 'log':
        return event.unfinished ? [] : logLines(event.text).filter((line) => !this.#told.has(line.trimStart()))
      case 'step-finished':
        return this.#stepEnd(event)
      case 'image-ready':
        return [`image ${event.digest}`]
      case 'pushed':
        return [`pushed ${event.name} ${event.tags.join(' ')}`]
      case 'rollout-requested':
        return [`rollout of ${event.target} requested`]
      case 'rollout-progressed':
        return [`rollout ${event.status}: ${oneLine(event.message)}`]
      case 'finished':
        return this.#end(event)
      case 'source-fetched':
        return []
      default:
        return event satisfies never
    }
  }

  #title(step: string): string {
    return this.#titles.get(step) ?? step
  }

  #stepEnd(event: Extract<BuildEvent, { kind: 'step-finished' }>): string[] {
    const title = oneLine(this.#title(event.step))
    if (event.cached) return [`CACHED ${title}`]
    if (event.status === 'succeeded') return []
    return [`${event.status}: ${title}${event.exitCode === null ? '' : ` (exit code ${event.exitCode})`}`]
  }

  #end(event: Extract<BuildEvent, { kind: 'finished' }>): string[] {
    const seconds = ((event.atMs - this.#build.queuedAtMs) / 1000).toFixed(1)
    const { error } = event
    const why = error ? [`${error.kind}: ${oneLine(error.message)}`, ...(error.excerpt?.split('\n') ?? [])] : []
    return [...why, `${event.status} in ${seconds} s: ${this.#url}`]
  }
}

/** The rule with its page, what it says, and where. */
function warningLines({ rule, url, message, excerpt }: BuildWarning): string[] {
  const title = url === '' ? rule : `${rule} - ${url}`
  return [`WARNING: ${oneLine(title)}`, oneLine(message), ...excerpt.split('\n').map(printable)]
}

/** A terminal belongs to the pusher: a build's output may not move its cursor or set its title. */
function logLines(text: string): string[] {
  const lines = stripVTControlCharacters(text).replace(/\n$/, '').split('\n')
  // A progress bar overwrites its line: what counts is what was left of it.
  return lines.map((line) => `  ${printable(line.replace(/\r+$/, '').split('\r').at(-1) ?? '')}`)
}

const oneLine = (text: string) => printable(text.replaceAll(/\s*\n\s*/g, ' '))

function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '')
}
