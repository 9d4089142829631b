import { createHash } from 'node:crypto'
import type { Plan, PlanStep } from '#buildkit-lite'
import type { Vertex } from './progress.ts'

/** The vertices of a plan, in its order; `platform` is named where several are built. */
export function verticesOf(plan: Plan, platform: string | null): Vertex[] {
  const names = plan.steps.map((_, index) => vertexName(plan, index, platform))
  const digests = names.map((name, index) => digestOf(`${index} ${name}`))
  return plan.steps.map((step, index) => ({
    digest: digests[index] ?? '',
    inputs: [...new Set(inputsOf(step))].flatMap((input) => digests[input] ?? []),
    name: names[index] ?? '',
    startedAtMs: null,
  }))
}

/** A vertex beside those of plans. */
export function singleVertex(name: string, number: number): Vertex {
  return { digest: digestOf(`beside ${number} ${name}`), inputs: [], name, startedAtMs: null }
}

/**
 * `[build 2/4] RUN npm ci`: a stage without a name is not named where there is only one, and an image that only files
 * are taken from belongs to no stage.
 */
function vertexName(plan: Plan, index: number, platform: string | null): string {
  const step = plan.steps[index]
  if (!step) return `step ${index}`
  if (step.operation.kind === 'base' && step.line === null)
    return `${platform === null ? '' : `[${platform}] `}${titleOf(step)}`
  const inStage = plan.steps.flatMap((other, at) => (other.stage === step.stage ? [at] : []))
  const isOnly = step.stage === 'stage-0' && inStage.length === plan.steps.length
  const before = plan.stagesOnSharedBases?.includes(step.stage) ? 1 : 0
  const count = String(before + inStage.length)
  const number = String(before + inStage.indexOf(index) + 1).padStart(count.length)
  const place = [platform, isOnly ? null : step.stage, `${number}/${count}`].filter((part) => part !== null).join(' ')
  return `[${place}] ${titleOf(step)}`
}

function titleOf({ title, operation }: PlanStep): string {
  if (operation.kind !== 'base' || title.includes('@')) return title
  return `${title}@${operation.image.manifestDigest}`
}

function inputsOf({ operation }: PlanStep): number[] {
  switch (operation.kind) {
    case 'base':
      return []
    case 'workdir':
      return numbers([operation.input])
    case 'copy':
      return numbers([operation.input, operation.from.kind === 'step' ? operation.from.fileSystem : null])
    case 'run':
      return numbers([
        operation.input,
        ...operation.mounts.map((mount) =>
          'from' in mount && mount.from?.kind === 'step' ? mount.from.fileSystem : null,
        ),
      ])
    default:
      return operation satisfies never
  }
}

function numbers(values: readonly (number | null)[]): number[] {
  return values.filter((value) => value !== null)
}

function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}
