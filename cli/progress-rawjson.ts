import {
  type Amount,
  type ProgressOptions,
  type ProgressView,
  type Vertex,
  type VertexEvent,
  type Warning,
  write,
} from './progress.ts'

/**
 * One JSON object a line with `vertexes`, `statuses`, `logs` and `warnings`, as other builders' `--progress rawjson`
 * has them: times are RFC 3339, bytes are base64.
 */
export function createRawView({ output }: Pick<ProgressOptions, 'output'>): ProgressView {
  return {
    draw: async (event) => {
      for (const status of statusesOf(event)) await write(output, `${JSON.stringify(status)}\n`)
    },
    close: async () => {},
  }
}

function* statusesOf(event: VertexEvent): Generator<object> {
  const timestamp = timeOf(event.atMs)
  switch (event.kind) {
    case 'planned':
      if (event.vertices.length > 0) yield { vertexes: event.vertices.map((vertex) => vertexOf(vertex)) }
      return
    case 'started': {
      const reason = event.missReason === null ? [] : [reasonOf(event.vertex, event.missReason, timestamp)]
      yield { vertexes: [vertexOf(event.vertex)], ...(reason.length > 0 ? { statuses: reason } : {}) }
      return
    }
    case 'status':
      yield { statuses: [statusOf(event.vertex, event.text, timestamp, event.amount)] }
      return
    case 'output':
      if (event.bytes.length > 0) {
        const data = event.bytes.toString('base64')
        yield { logs: [{ vertex: event.vertex.digest, stream: event.stream, data, timestamp }] }
      }
      return
    case 'warned':
      yield { warnings: event.warnings.map((warning) => warningOf(event.vertex, warning)) }
      return
    case 'ended': {
      const cached = event.ending.kind === 'cached' ? { cached: true } : {}
      const error = errorOf(event.ending)
      yield { vertexes: [{ ...vertexOf(event.vertex), completed: timestamp, ...cached, ...error }] }
      return
    }
    default:
      event satisfies never
  }
}

function vertexOf({ digest, inputs, name, startedAtMs }: Vertex): object {
  return {
    digest,
    ...(inputs.length > 0 ? { inputs } : {}),
    name,
    ...(startedAtMs === null ? {} : { started: timeOf(startedAtMs) }),
  }
}

function errorOf(ending: Extract<VertexEvent, { kind: 'ended' }>['ending']): object {
  if (ending.kind === 'cancelled') return { error: 'context canceled' }
  return ending.kind === 'failed' ? { error: ending.message } : {}
}

/** Why a step ran is a status of ours that is complete at once. */
function reasonOf(vertex: Vertex, reason: string, timestamp: string): object {
  return statusOf(vertex, `not cached: ${reason}`, timestamp)
}

function statusOf(vertex: Vertex, text: string, timestamp: string, amount: Amount | null = null): object {
  const { currentBytes: current = 0, totalBytes: total = 0 } = amount ?? {}
  const completed = current >= total ? { completed: timestamp } : {}
  const sizes = { current, ...(total > 0 ? { total } : {}) }
  return { id: text, vertex: vertex.digest, ...sizes, timestamp, started: timestamp, ...completed }
}

function warningOf(vertex: Vertex, warning: Warning): object {
  const { rule, message, description, url, file, line, lastLine } = warning
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  return {
    vertex: vertex.digest,
    level: 1,
    short: base64(`${rule}: ${message} (line ${line})`),
    detail: [base64(description)],
    ...(url === '' ? {} : { url }),
    sourceInfo: { filename: file, language: 'Dockerfile' },
    range: [{ start: { line }, end: { line: lastLine } }],
  }
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString()
}
