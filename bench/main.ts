import { parseArgs } from 'node:util'
import { benchFrontend } from './frontend.ts'
import { benchLogLatency } from './log-latency.ts'
import { benchNoopRebuild } from './noop-rebuild.ts'
import { printReport, type Report } from './report.ts'
import { benchRunOverhead } from './run-overhead.ts'
import { startBenchSlipway } from './start-slipway.ts'
import { benchWebhooks } from './webhooks.ts'
import { benchWorkloads } from './workloads/bench-workloads.ts'

const benches = {
  'noop-rebuild': benchNoopRebuild,
  'run-overhead': benchRunOverhead,
  'log-latency': benchLogLatency,
  webhooks: benchWebhooks,
} as const

/** `npm run bench -- [NAME…] [--only W4]`: JSON lines while it measures, a table at the end. Nothing here is an assertion. */
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string', multiple: true, default: [] } },
})
/** What needs no running Slipway. */
const alone = { frontend: benchFrontend, workloads: () => benchWorkloads(values.only) } as const
const names = [...Object.keys(alone), ...Object.keys(benches)]
const isWanted = (name: string) => positionals.length === 0 || positionals.includes(name)
const unknown = positionals.filter((name) => !names.includes(name))
if (unknown.length > 0) {
  console.error(`bench: there is no ${unknown.join(', ')}; there are ${names.join(', ')}`)
  process.exit(2)
}

const reports: Report[] = []
for (const [name, bench] of Object.entries(alone)) if (isWanted(name)) reports.push(...(await bench()))
if (Object.keys(benches).some(isWanted)) {
  await using slipway = await startBenchSlipway()
  for (const [name, bench] of Object.entries(benches)) if (isWanted(name)) reports.push(...(await bench(slipway)))
}
printReport(reports)
