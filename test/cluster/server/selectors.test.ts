import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { LabelSelector, Labels } from '../../../cluster/kinds.ts'
import { fromLabelSelector, matches, selectorText } from '../../../cluster/selectors.ts'
import * as names from '../../../cluster/server/names.ts'
import { parseFieldSelector, parseLabelSelector } from '../../../cluster/server/parse-selector.ts'

function recorded<T>(name: string): T[] {
  return JSON.parse(readFileSync(new URL(`../../fixtures/kubernetes/${name}.json`, import.meta.url), 'utf8')) as T[]
}

interface SelectorCase {
  selector: string
  err: string | null
  matches: boolean[]
  sets?: Labels[]
}
const all = recorded<SelectorCase>('label_selectors')
const sets = all.find((each) => each.sets)?.sets ?? []

test.for(all.filter((each) => !each.sets))('label selector %j', ({ selector, err, matches: expected }) => {
  if (err) return expect(() => parseLabelSelector(selector)).toThrow(err)
  const requirements = parseLabelSelector(selector)
  expect(sets.map((labels) => matches(requirements, labels))).toEqual(expected)
})

test.for(
  recorded<{ labelSelector: LabelSelector; err: string | null; matches: boolean[]; string: string }>(
    'label_selector_objects',
  ),
)('selector object %j', ({ labelSelector, err, matches: expected, string }) => {
  if (err) return expect(() => fromLabelSelector(labelSelector)).toThrow(err)
  const requirements = fromLabelSelector(labelSelector)
  expect(sets.map((labels) => matches(requirements, labels))).toEqual(expected)
  expect(selectorText(labelSelector)).toBe(string)
})

test.for(recorded<{ selector: string; err: string | null; canonical: string }>('field_selectors'))(
  'field selector %j',
  ({ selector, err, canonical }) => {
    if (err) return expect(() => parseFieldSelector(selector)).toThrow(err)
    const text = parseFieldSelector(selector).map(({ field, equal, value }) => {
      return `${field}${equal ? '=' : '!='}${value.replaceAll(/[\\,=]/g, '\\$&')}`
    })
    expect(text.join(',')).toBe(canonical)
  },
)

test.for(recorded<Record<string, boolean | string> & { in: string }>('names'))('name %j', (each) => {
  const name = each.in
  expect({
    dns1123Subdomain: names.subdomainProblem(name) === null,
    dns1123Label: names.labelProblem(name) === null,
    dns1035Label: names.dns1035Problem(name) === null,
    labelValue: names.labelValueProblem(name) === null,
    qualifiedName: names.labelKeyProblem(name) === null,
    configMapKey: names.configKeyProblem(name) === null,
    portName: names.portNameProblem(name) === null,
  }).toEqual({
    dns1123Subdomain: each['dns1123Subdomain'],
    dns1123Label: each['dns1123Label'],
    dns1035Label: each['dns1035Label'],
    labelValue: each['labelValue'],
    qualifiedName: each['qualifiedName'],
    configMapKey: each['configMapKey'],
    portName: each['portName'],
  })
})
