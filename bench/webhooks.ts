import { createHmac, randomUUID } from 'node:crypto'
import type { RunningSlipway } from '#test/slipway'
import { type Report, report } from './report.ts'

const REQUESTS = 400
const SECRET = 'bench-secret-bench-secret'

/** Signed pushes to a branch that no rule builds, while a build keeps a core busy. */
export async function benchWebhooks(slipway: RunningSlipway): Promise<Report[]> {
  const project = 'bench/hooks'
  const repository = await slipway.repository(project, {
    Dockerfile:
      'FROM busybox\nRUN echo begun; i=0; while [ $i -lt 60 ]; do dd if=/dev/zero bs=1M count=200 2>/dev/null | sha256sum; i=$((i+1)); done\n',
  })
  await repository.push('-o', 'nowait')
  await slipway.api('PATCH', `/api/v1/projects/${project}`, { webhookSecret: SECRET })
  const build = await slipway.build(project, 1, ['running'])
  const tookMs: number[] = []
  for (let request = 0; request < REQUESTS; request++) tookMs.push(await deliver(slipway, project))
  await slipway.api('POST', `/api/v1/builds/${build.id}/cancel`, {})
  await slipway.build(project, 1)
  return [report('webhook answered while a build runs', tookMs, 'p99 <= 50')]
}

async function deliver(slipway: RunningSlipway, project: string): Promise<number> {
  const body = JSON.stringify({
    ref: 'refs/heads/side',
    before: '0'.repeat(40),
    after: '1'.repeat(40),
    deleted: false,
    head_commit: { id: '1'.repeat(40), message: 'bench', author: { name: 'bench' } },
    repository: { full_name: project, clone_url: `https://example.com/${project}.git`, default_branch: 'main' },
    pusher: { name: 'bench' },
  })
  const startedAt = performance.now()
  const response = await fetch(`${slipway.baseUrl}/hooks/${project}`, {
    method: 'POST',
    body,
    headers: {
      'content-type': 'application/json',
      'x-github-event': 'push',
      'x-github-delivery': randomUUID(),
      'x-hub-signature-256': `sha256=${createHmac('sha256', SECRET).update(body).digest('hex')}`,
    },
  })
  await response.text()
  if (!response.ok) throw new Error(`the webhook was answered ${response.status}`)
  return performance.now() - startedAt
}
