import { formatBytes } from '#host/disk-space'
import type { DiskAnswer } from './gc.ts'

/** What `slipway gc` did, as a table. */
export function gcText(answer: DiskAnswer, nowMs = Date.now()): string {
  return answer.kind === 'verified' ? verifiedText(answer) : collectedText(answer, nowMs)
}

function collectedText(report: Extract<DiskAnswer, { kind: 'collected' }>, nowMs: number): string {
  const { dryRun, removed, removedBytes, kept, keptBytes, inUseBytes, freeBytes } = report
  const rows = removed.map(({ kind, id, sizeBytes, usedAtMs, reason }) => [
    kind,
    id.slice(0, 20),
    formatBytes(sizeBytes),
    usedAtMs === null ? 'unknown' : ago(nowMs - usedAtMs),
    reason,
  ])
  const what = `${removed.length} ${removed.length === 1 ? 'object' : 'objects'}, ${formatBytes(removedBytes)}`
  const total = dryRun ? `Would remove ${what}` : `Removed ${what}`
  const rest = `kept ${kept}, ${formatBytes(keptBytes)}, of which ${formatBytes(inUseBytes)} in use; ${formatBytes(freeBytes)} free on the disk`
  return `${table(['KIND', 'ID', 'SIZE', 'LAST USE', 'REASON'], rows)}${total}; ${rest}.\n`
}

function verifiedText({ damaged, dryRun }: Extract<DiskAnswer, { kind: 'verified' }>): string {
  if (damaged.length === 0) return 'Everything that is kept is sound.\n'
  const fate = (removed: boolean) => (removed ? 'removed' : dryRun ? 'kept' : 'kept: in use, run this again later')
  const rows = damaged.map(({ kind, id, sizeBytes, problem, removed }) => [
    kind,
    id.slice(0, 20),
    formatBytes(sizeBytes),
    fate(removed),
    problem,
  ])
  const count = damaged.length === 1 ? '1 object is' : `${damaged.length} objects are`
  return `${table(['KIND', 'ID', 'SIZE', 'NOW', 'PROBLEM'], rows)}${count} damaged.\n`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return ''
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)))
  const line = (row: readonly string[]) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')
  return all.map((row) => `${line(row).trimEnd()}\n`).join('')
}

function ago(ms: number): string {
  const minutes = Math.max(0, Math.floor(ms / 60_000))
  if (minutes < 60) return `${minutes} min ago`
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h ago` : `${Math.floor(minutes / 60 / 24)} days ago`
}
