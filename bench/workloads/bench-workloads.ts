import { mkdir, mkdtempDisposable, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startDockerRegistry } from '#test/docker-registry'
import { type Report, report } from '../report.ts'
import { type BuildCall, type Builder, findBuilders } from './builders.ts'
import { writeBase } from './contexts.ts'
import { type Place, type Workload, workloads } from './workloads.ts'

const LARGE_BASE_BYTES = 250_000_000

/**
 * Slipway's command beside the other builders of this machine: each workload in several rounds, the builders in turn,
 * against one registry. Needs root; all of it happens in a directory that is removed at the end.
 */
export async function benchWorkloads(only: readonly string[]): Promise<Report[]> {
  const wanted = workloads.filter(({ id }) => only.length === 0 || only.includes(id))
  await using dir = await mkdtempDisposable(join(tmpdir(), 'slip-workloads-'))
  const builders = await findBuilders(join(dir.path, 'data'), (reason) => console.log(`not measured: ${reason}`))
  const reports: Report[] = []
  const peaks = new Map<string, number>()
  for (const workload of wanted) {
    // A registry has what was pushed to it: each workload starts with an empty one.
    await using registry = await startDockerRegistry()
    const place = await makePlace(dir.path, registry.host, { builders, isLarge: workload.id === 'pull' })
    reports.push(...(await measureWorkload(workload, { place, builders, peaks })))
    await rm(place.dir, { recursive: true, force: true })
  }
  for (const [name, bytes] of peaks)
    reports.push(report(`peak memory of ${name}`, [bytes / 1_000_000], 'at most 250', { unit: 'MB' }))
  return reports
}

async function makePlace(
  dir: string,
  host: string,
  { builders, isLarge }: { builders: readonly Builder[]; isLarge: boolean },
): Promise<Place> {
  const [ours] = builders
  const images = { base: `${host}/base`, largeBase: `${host}/large-base` }
  for (const [push, bytes] of [
    [images.base, 0] as const,
    ...(isLarge ? [[images.largeBase, LARGE_BASE_BYTES] as const] : []),
  ]) {
    const context = join(dir, 'base')
    await writeBase(context, bytes)
    await ours?.build({ context, push, useCache: true, compression: 'gzip' })
    await rm(context, { recursive: true })
  }
  let names = 0
  const place = {
    dir: join(dir, 'context'),
    ...images,
    ownName: `${host}/pushed`,
    newName: () => `${host}/pushed-${names++}`,
  }
  await mkdir(place.dir)
  return place
}

async function measureWorkload(
  workload: Workload,
  { place, builders, peaks }: { place: Place; builders: readonly Builder[]; peaks: Map<string, number> },
): Promise<Report[]> {
  const written = await workload.write(place)
  const samples = new Map<Builder, number[]>(builders.map((builder) => [builder, []]))
  const call = (): BuildCall => {
    const push = workload.pushed === 'anew' ? place.newName() : workload.pushed ? place.ownName : null
    return { context: place.dir, useCache: true, compression: 'gzip', ...written, push }
  }
  // Everybody has the base, and what a rebuild starts from.
  for (const builder of builders) await builder.build(call())
  for (let round = 0; round < workload.rounds; round++) {
    await workload.change?.(place, round)
    for (const builder of builders) {
      await workload.prepare?.(builder, { ...call(), push: null })
      const { tookMs, peakBytes } = await builder.build(call())
      samples.get(builder)?.push(tookMs)
      if (peakBytes !== null) peaks.set(builder.name, Math.max(peaks.get(builder.name) ?? 0, peakBytes))
    }
  }
  return compare(workload, samples)
}

/** Ours last: it says how many times the others' medians it took. */
function compare({ id, name, aim }: Workload, samples: ReadonlyMap<Builder, readonly number[]>): Report[] {
  const [ours, ...others] = [...samples].map(([builder, tookMs]) => ({ builder: builder.name, tookMs }))
  const told = others.map(({ builder, tookMs }) => report(`${id} ${name}: ${builder}`, tookMs, ''))
  if (!ours) return told
  const median = report(`${id} ${name}: ${ours.builder}`, ours.tookMs, aim, {
    ratio: (own) => told.map((other, at) => `${(own / other.median).toFixed(2)} × ${others[at]?.builder}`).join(', '),
  })
  return [...told, median]
}
