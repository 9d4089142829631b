import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { makeApiSchema } from '#test/make-api-schema'

test('the kept schema is the one of the installed client', () => {
  const kept = readFileSync(new URL('../../../cluster/server/api-schema.json', import.meta.url), 'utf8')
  expect(JSON.parse(kept)).toEqual(makeApiSchema())
})
