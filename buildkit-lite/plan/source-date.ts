import { SyntaxFault } from '../dockerfile/errors.ts'

/** SOURCE_DATE_EPOCH of the request in Unix seconds; null where it is not given, or empty. https://reproducible-builds.org/specs/source-date-epoch/ */
export function readSourceDate(buildArgs: Readonly<Record<string, string>>): number | null {
  const text = Object.hasOwn(buildArgs, 'SOURCE_DATE_EPOCH') ? (buildArgs['SOURCE_DATE_EPOCH'] ?? '') : ''
  if (text === '') return null
  if (!/^[+-]?\d{1,12}$/.test(text)) throw new SyntaxFault(`invalid SOURCE_DATE_EPOCH: ${text}`)
  return Number(text)
}
