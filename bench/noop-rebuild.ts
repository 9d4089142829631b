import type { RunningSlipway } from '#test/slipway'
import { passedMs, type Report, report } from './report.ts'

const ROUNDS = 15

const dockerfile = `FROM busybox
ARG A=1
ENV B=2
WORKDIR /app
COPY one .
COPY two .
RUN echo one > 1
RUN echo two > 2
RUN echo three > 3
LABEL c=d
EXPOSE 80
CMD ["true"]
`

/** A rebuild in which nothing changed: worker time from claim to end, push included. */
export async function benchNoopRebuild(slipway: RunningSlipway): Promise<Report[]> {
  const project = 'bench/noop'
  const repository = await slipway.repository(project, { Dockerfile: dockerfile, one: '1\n', two: '2\n' })
  await repository.push()
  await slipway.build(project, 1)
  const workerMs: number[] = []
  const totalMs: number[] = []
  for (let round = 2; round < ROUNDS + 2; round++) {
    await slipway.api('POST', `/api/v1/projects/${project}/builds`, { ref: 'refs/heads/main' })
    const build = await slipway.build(project, round)
    workerMs.push(passedMs(build.startedAtMs, build.finishedAtMs))
    totalMs.push(passedMs(build.queuedAtMs, build.finishedAtMs))
  }
  return [
    report('no-op rebuild of 12 instructions, worker time', workerMs, 'median <= 100'),
    report('no-op rebuild of 12 instructions, queued to finished', totalMs, ''),
  ]
}
