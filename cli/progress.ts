import type { Plan, SolveEvent } from '#buildkit-lite'

/** Shows a build as it goes. */
export interface Progress {
  show(event: SolveEvent): Promise<void>
  /** A vertex of our own around the plan's, such as an export. */
  during<T>(title: string, work: () => Promise<T>): Promise<T>
}

export interface ProgressOptions {
  form: 'auto' | 'plain' | 'tty' | 'rawjson'
  output: NodeJS.WritableStream & { isTTY?: boolean }
  now: () => number
}

export const SILENT: Progress = { show: async () => {}, during: async (_title, work) => await work() }

/** `[build 2/4] RUN npm ci`: the stage is left out where there is only one without a name. */
export function vertexName(plan: Plan, index: number): string {
  const step = plan.steps[index]
  if (!step) return `step ${index}`
  const inStage = plan.steps.flatMap((other, at) => (other.stage === step.stage ? [at] : []))
  const place = `${inStage.indexOf(index) + 1}/${inStage.length}`
  const isOnly = inStage.length === plan.steps.length && /^stage-\d+$/.test(step.stage)
  return `[${isOnly ? place : `${step.stage} ${place}`}] ${step.title}`
}

/** Writes and waits until the other side has taken it. */
export async function write(output: NodeJS.WritableStream, text: string): Promise<void> {
  if (text === '' || output.write(text)) return
  await new Promise<void>((resolve) => {
    output.once('drain', () => resolve())
    output.once('close', () => resolve())
  })
}
