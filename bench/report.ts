/** One measured figure, with what it is compared to. */
export interface Report {
  name: string
  unit: 'ms' | 'MB'
  samples: number
  min: number
  median: number
  p95: number
  p99: number
  max: number
  /** What we mean to stay below, and which of the figures it is about. */
  aim: string
  /** Ratio of the median to others', measured in the same run. */
  ratio?: string
}

/** Prints a figure's line at once and returns it for the table. */
export function report(
  name: string,
  values: readonly number[],
  aim: string,
  { unit = 'ms', ratio }: { unit?: Report['unit']; ratio?: (median: number) => string } = {},
): Report {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) =>
    round(sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN)
  const figure: Report = {
    name,
    unit,
    samples: sorted.length,
    min: at(0.0001),
    median: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
    max: at(1),
    aim,
    ...(ratio ? { ratio: ratio(at(0.5)) } : {}),
  }
  console.log(JSON.stringify(figure))
  return figure
}

export function printReport(reports: readonly Report[]): void {
  console.table(Object.fromEntries(reports.map(({ name, ...figures }) => [name, figures])))
}

/** From one moment to another; NaN, which spoils the figure visibly, where one never came. */
export function passedMs(startMs: number | null, endMs: number | null): number {
  return (endMs ?? Number.NaN) - (startMs ?? Number.NaN)
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
