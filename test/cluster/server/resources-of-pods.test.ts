import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Container, Pod } from '../../../cluster/kinds.ts'
import { initialStatus } from '../../../cluster/server/defaults.ts'
import { compareQuantities, quantityValue } from '../../../cluster/server/quantity.ts'

function vectors<T>(name: string): T[] {
  const url = new URL(`../../fixtures/kubernetes/vectors/${name}.json`, import.meta.url)
  return JSON.parse(readFileSync(url, 'utf8')) as T[]
}

type Amounts = Record<'cpu' | 'memory', [request: string, limit: string]>

describe('as Kubernetes', () => {
  const classes = vectors<{ containers_request_limit: Partial<Amounts>[]; qos: string }>('qos')
  test.for(classes.map((each, index) => ({ index, ...each })))(
    'quality of service, case $index',
    ({ containers_request_limit: all, qos }) => {
      const containers = all.map((amounts, index): Container => {
        const pick = (at: 0 | 1) =>
          Object.fromEntries(Object.entries(amounts).flatMap(([name, both]) => (both[at] ? [[name, both[at]]] : [])))
        return { name: `c${index}`, image: 'i', resources: { requests: pick(0), limits: pick(1) } }
      })
      const pod: Pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers } }
      expect(initialStatus(pod).status?.qosClass).toBe(qos)
    },
  )

  const quantities = vectors<{ in: string; err: boolean | string | null; value?: string; milli?: string }>('quantities')
  test.for(quantities.filter(({ err }) => err))('$in is no quantity', ({ in: text }) => {
    expect(() => quantityValue(text)).toThrow('quantities must match')
  })
  // What is more than 64 bits hold is negative there; with us it is much.
  const countable = quantities.filter(({ err, value }) => !err && Number(value) >= 0)
  test.for(countable)('$in is $value, rounded up', ({ in: text, value }) => {
    expect(Math.ceil(quantityValue(text))).toBe(Number(value))
  })

  test.for(vectors<{ a: string; b: string; cmp: number }>('quantity_arith'))('$a against $b', ({ a, b, cmp }) => {
    expect(compareQuantities(a, b)).toBe(cmp)
  })
})
