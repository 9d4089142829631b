import type { CheckResult, Outline, TargetList } from '#buildkit-lite'

type Warning = CheckResult['warnings'][number]
type ShownName = (name: string) => string

/** The warnings in the order of the file, as `docker buildx build --check` prints them. */
export function checkText({ warnings, error }: CheckResult, shownName: ShownName): string {
  const count = warnings.length
  if (count === 0) return error ? '' : 'Check complete, no warnings found.\n'
  const found = count === 1 ? '1 warning has been found!' : `${count} warnings have been found!`
  const sorted = warnings.toSorted((a, b) => a.line - b.line)
  return [`Check complete, ${found}\n`, ...sorted.map((warning) => warningText(warning, shownName))].join('')
}

function warningText({ rule, url, message, file, excerpt }: Warning, shownName: ShownName): string {
  const page = url === '' ? '' : ` - ${url}`
  return `\nWARNING: ${rule}${page}\n${message}\n${renamed(excerpt, file, shownName)}\n`
}

export function checkError(error: NonNullable<CheckResult['error']>, shownName: ShownName): string {
  return `ERROR: ${error.message}\n${renamed(error.excerpt, error.file, shownName)}\n`
}

/** An excerpt begins with the name of its file. */
function renamed(excerpt: string, file: string, shownName: ShownName): string {
  return shownName(file) + excerpt.slice(file.length)
}

export function outlineText({ name, description, args, secrets, ssh }: Outline): string {
  const title = [['TARGET:', name || '(default)'], ...(description ? [['DESCRIPTION:', description]] : [])]
  const required = (mounts: Outline['secrets']) => mounts.map((one) => [one.name, one.required ? 'true' : ''])
  const tables = [
    name || description ? table(title, 1) : '',
    section(
      ['BUILD ARG', 'VALUE', 'DESCRIPTION'],
      args.map((arg) => [arg.name, arg.value, arg.description]),
    ),
    section(['SECRET', 'REQUIRED'], required(secrets)),
    section(['SSH', 'REQUIRED'], required(ssh)),
  ]
  return tables
    .filter((text) => text !== '')
    .map((text) => `${text}\n`)
    .join('')
}

export function targetsText({ targets }: TargetList): string {
  const rows = targets.map(({ name, isDefault, description }) => [
    [name, isDefault ? '(default)' : ''].filter((part) => part !== '').join(' '),
    description,
  ])
  return table([['TARGET', 'DESCRIPTION'], ...rows], 1)
}

function section(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return rows.length === 0 ? '' : table([head, ...rows], 3)
}

/** Columns as wide as their widest cell and the gap; the last one is as it is. */
function table(rows: readonly (readonly string[])[], gap: number): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => Array.from(row[column] ?? '').length)),
  )
  const line = (row: readonly string[]) =>
    row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd((widths[column] ?? 0) + gap))).join('')
  return rows.map((row) => `${line(row)}\n`).join('')
}
