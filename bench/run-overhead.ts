import type { RunningSlipway } from '#test/slipway'
import { passedMs, type Report, report } from './report.ts'

const STEPS = 30

/** Thirty steps that do nothing: what remains is snapshot, container, layer and cache. */
export async function benchRunOverhead(slipway: RunningSlipway): Promise<Report[]> {
  const project = 'bench/run'
  const runs = Array.from({ length: STEPS }, (_, index) => `RUN true ${index}\n`).join('')
  const repository = await slipway.repository(project, { Dockerfile: `FROM busybox\n${runs}` })
  await repository.push()
  const build = await slipway.build(project, 1)
  const steps = build.steps.filter((step) => step.title.startsWith('RUN'))
  const durationsMs = steps.map((step) => passedMs(step.startedAtMs, step.finishedAtMs))
  return [report('a trivial RUN, start to layer committed', durationsMs, 'median <= 80')]
}
