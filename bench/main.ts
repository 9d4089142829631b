import { parseArgs } from 'node:util'
import { benchLogLatency } from './log-latency.ts'
import { benchNoopRebuild } from './noop-rebuild.ts'
import { printReport, type Report } from './report.ts'
import { benchRunOverhead } from './run-overhead.ts'
import { startBenchSlipway } from './start-slipway.ts'
import { benchWebhooks } from './webhooks.ts'

const benches = {
  'noop-rebuild': benchNoopRebuild,
  'run-overhead': benchRunOverhead,
  'log-latency': benchLogLatency,
  webhooks: benchWebhooks,
} as const

/** `npm run bench -- [NAME…]`: JSON lines while it measures, a table at the end. Nothing here is an assertion. */
const { positionals } = parseArgs({ allowPositionals: true })
const unknown = positionals.filter((name) => !(name in benches))
if (unknown.length > 0) {
  console.error(`bench: there is no ${unknown.join(', ')}; there are ${Object.keys(benches).join(', ')}`)
  process.exit(2)
}

await using slipway = await startBenchSlipway()
const reports: Report[] = []
for (const [name, bench] of Object.entries(benches)) {
  if (positionals.length === 0 || positionals.includes(name)) reports.push(...(await bench(slipway)))
}
printReport(reports)
