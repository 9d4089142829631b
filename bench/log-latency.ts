import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import type { RunningSlipway } from '#test/slipway'
import { type Report, report } from './report.ts'

const LINES = 60

/** From a line's own clock inside the container to the moment the page shows it. The clock counts in 10 ms. */
export async function benchLogLatency(slipway: RunningSlipway): Promise<Report[]> {
  const project = 'bench/log'
  const repository = await slipway.repository(project, {
    Dockerfile: `FROM busybox\nRUN sleep 4; for i in $(seq 1 ${LINES}); do read up idle </proc/uptime; echo "at $up"; sleep 0.1; done\n`,
  })
  await using browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
  const page = await browser.newPage()
  const bootedAtMs = Date.now() - 1000 * Number((await readFile('/proc/uptime', 'utf8')).split(' ')[0])
  const delaysMs: number[] = []
  const { promise: allSeen, resolve } = Promise.withResolvers<void>()
  await page.exposeFunction('noteLine', (uptimeS: number, seenAtMs: number) => {
    delaysMs.push(seenAtMs - bootedAtMs - uptimeS * 1000)
    if (delaysMs.length === LINES) resolve()
  })
  await page.addInitScript({ path: join(import.meta.dirname, 'page-probe.js') })
  await page.goto(slipway.baseUrl)
  await page.getByLabel('Token').fill(slipway.token)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { name: 'Builds' }).waitFor()
  await repository.push('-o', 'nowait')
  const build = await slipway.newest(project)
  await page.goto(`${slipway.baseUrl}/builds/${build.id}`)
  await allSeen
  return [report('log line from process to page', delaysMs, 'p95 <= 500')]
}
