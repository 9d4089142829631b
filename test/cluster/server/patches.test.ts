import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Json, JsonObject } from '../../../cluster/server/json.ts'
import { applyJsonPatch } from '../../../cluster/server/json-patch.ts'
import { applyMergePatch } from '../../../cluster/server/merge-patch.ts'
import { applyStrategicMergePatch } from '../../../cluster/server/strategic-merge-patch.ts'

interface Case {
  original?: JsonObject
  patch: JsonObject
  result?: Json
  err: boolean | string | null
}

/** Recorded from Kubernetes: the first entry is the document, the others are patches of it. */
function cases(name: string) {
  const url = new URL(`../../fixtures/kubernetes/${name}.json`, import.meta.url)
  const [first, ...rest] = JSON.parse(readFileSync(url, 'utf8')) as Case[]
  return { original: first?.original ?? {}, cases: rest.map((each, index) => ({ ...each, index })) }
}

describe('JSON patch', () => {
  const { original, cases: all } = cases('json_patch')
  test.for(all)('case $index', ({ patch, result, err }) => {
    if (err) expect(() => applyJsonPatch(original, patch)).toThrow('JSON patch')
    else expect(applyJsonPatch(original, patch)).toEqual(result)
  })
})

describe('merge patch', () => {
  const { original, cases: all } = cases('json_merge_patch')
  test.for(all.filter(({ err }) => !err))('case $index', ({ patch, result }) => {
    expect(applyMergePatch(original, patch)).toEqual(result)
  })
})

describe('strategic merge patch', () => {
  const { original, cases: all } = cases('strategic_merge_patch')
  test.for(all)('case $index', ({ patch, result, err }) => {
    const before = structuredClone(original)
    if (err) expect(() => applyStrategicMergePatch(original, patch, 'Deployment')).toThrow(String(err))
    else expect(applyStrategicMergePatch(original, patch, 'Deployment')).toEqual(result)
    expect(original).toEqual(before)
  })

  const service = {
    spec: {
      selector: { a: '1' },
      ports: [
        { name: 'http', port: 80, protocol: 'TCP', targetPort: 8080 },
        { name: 'm', port: 9090, protocol: 'TCP' },
      ],
    },
  }
  const url = new URL('../../fixtures/kubernetes/strategic_merge_patch_service.json', import.meta.url)
  test.for(JSON.parse(readFileSync(url, 'utf8')) as Case[])('of a Service: %j', ({ patch, result }) => {
    expect(applyStrategicMergePatch(service, patch, 'Service')).toEqual(result)
  })
})
