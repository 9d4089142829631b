import { createHash } from 'node:crypto'
import type { Plan, SolveEvent } from '#buildkit-lite'
import { type Progress, type ProgressOptions, vertexName, write } from './progress.ts'

/** One JSON object a line, with `vertexes` and `logs` as `docker buildx build --progress rawjson` has them. */
export function createRawProgress({ output, now }: ProgressOptions): Progress {
  const started = new Map<string, string>()
  let names: string[] = []
  const time = (): string => new Date(now()).toISOString()
  const send = async (status: object): Promise<void> => await write(output, `${JSON.stringify(status)}\n`)
  const vertex = async (name: string, more: object): Promise<void> => {
    const startedAt = started.get(name) ?? time()
    started.set(name, startedAt)
    await send({ vertexes: [{ digest: digestOf(name), name, started: startedAt, ...more }] })
  }
  const nameOf = (step: number): string => names[step] ?? `step ${step}`
  return {
    show: async (event: SolveEvent) => {
      switch (event.kind) {
        case 'planned':
          names = namesOf(event.plan)
          return
        case 'step-started':
          return await vertex(nameOf(event.step), {})
        case 'output': {
          const stream = event.stream === 'stderr' ? 2 : 1
          const data = event.bytes.toString('base64')
          return await send({ logs: [{ vertex: digestOf(nameOf(event.step)), stream, data, timestamp: time() }] })
        }
        case 'step-finished': {
          const { outcome } = event
          const error = outcome.kind === 'failed' ? { error: outcome.message } : {}
          return await vertex(nameOf(event.step), { completed: time(), cached: outcome.kind === 'cached', ...error })
        }
        default:
          event satisfies never
      }
    },
    during: async (title, work) => {
      await vertex(title, {})
      const result = await work()
      await vertex(title, { completed: time() })
      return result
    },
  }
}

function namesOf(plan: Plan): string[] {
  return plan.steps.map((_, index) => vertexName(plan, index))
}

function digestOf(name: string): string {
  return `sha256:${createHash('sha256').update(name).digest('hex')}`
}
