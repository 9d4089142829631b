import { SlipwayError } from '#domain/errors'
import type { LabelSelector, Labels } from './kinds.ts'

/** One condition on labels. `values` is empty for `exists` and `absent`. */
export interface Requirement {
  key: string
  operator: 'in' | 'notin' | 'exists' | 'absent' | '>' | '<'
  values: string[]
}

/** Whether labels meet every requirement; no requirements match everything. */
export function matches(requirements: readonly Requirement[], labels: Labels = {}): boolean {
  return requirements.every((requirement) => meets(requirement, labels))
}

function meets({ key, operator, values }: Requirement, labels: Labels): boolean {
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined
  switch (operator) {
    case 'in':
      return value !== undefined && values.includes(value)
    case 'notin':
      return value === undefined || !values.includes(value)
    case 'exists':
      return value !== undefined
    case 'absent':
      return value === undefined
    case '>':
      return isInteger(value) && BigInt(value) > BigInt(values[0] ?? '0')
    case '<':
      return isInteger(value) && BigInt(value) < BigInt(values[0] ?? '0')
    default:
      return operator satisfies never
  }
}

function isInteger(value: string | undefined): value is string {
  return value !== undefined && /^[+-]?\d+$/.test(value)
}

/** Whether a selector object, as in a Deployment's spec, selects these labels. An absent one selects nothing. */
export function selects(selector: LabelSelector | undefined, labels: Labels | undefined): boolean {
  return selector !== undefined && matches(fromLabelSelector(selector), labels)
}

/** Whether a plain map, as in a Service's spec, selects these labels. An empty one selects nothing. */
export function selectsAll(selector: Labels | undefined, labels: Labels = {}): boolean {
  const wanted = Object.entries(selector ?? {})
  return wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value)
}

const OPERATORS = { In: 'in', NotIn: 'notin', Exists: 'exists', DoesNotExist: 'absent' } as const

export function fromLabelSelector({ matchLabels = {}, matchExpressions = [] }: LabelSelector): Requirement[] {
  const equal = Object.entries(matchLabels).map(([key, value]) => {
    return { key, operator: 'in' as const, values: [value] }
  })
  const expressions = matchExpressions.map(({ key, operator: word, values = [] }) => {
    const operator = OPERATORS[word as keyof typeof OPERATORS]
    if (!operator) throw invalid(`"${word}" is not a valid pod selector operator`)
    const takesValues = operator === 'in' || operator === 'notin'
    if (takesValues && values.length === 0) throw invalid("for 'in', 'notin' operators, values set can't be empty")
    if (!takesValues && values.length > 0) throw invalid('values set must be empty for exists and does not exist')
    return { key, operator, values }
  })
  return [...equal, ...expressions]
}

/** A selector object as one line, as Scale objects and `kubectl get -o wide` show it. */
export function selectorText(selector: LabelSelector | undefined): string {
  const equal = Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => ({ key, text: `${key}=${value}` }))
  const others = (selector?.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    const list = values.toSorted().join(',')
    const texts: Record<string, string> = {
      In: `${key} in (${list})`,
      NotIn: `${key} notin (${list})`,
      Exists: key,
      DoesNotExist: `!${key}`,
    }
    return { key, text: texts[operator] ?? key }
  })
  const all = [...equal, ...others].sort((a, b) => (a.key < b.key ? -1 : 1))
  return all.map(({ text }) => text).join(',')
}

function invalid(message: string): SlipwayError {
  return new SlipwayError('invalid', message)
}
