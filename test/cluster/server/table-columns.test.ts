import { expect, test } from 'vitest'
import type { KindName } from '../../../cluster/kinds.ts'
import { columnsOf } from '../../../cluster/server/table-columns.ts'
import recorded from '../../fixtures/kubernetes/http_table_columns.json' with { type: 'json' }

test.for(Object.entries(recorded))(
  'columns of %s are those of Kubernetes, each with a description',
  ([kind, columns]) => {
    const ours = columnsOf(kind as KindName)
    expect(ours.map(({ name, type, format, priority }) => [name, type, format, priority])).toEqual(columns)
    for (const { description } of ours) expect(description).not.toBe('')
  },
)
