import { readdirSync, readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { RULES } from '../../../buildkit-lite/lint/rules.ts'
import { lint } from '../../support/lint.ts'

const folder = new URL('../../fixtures/dockerfiles-public/', import.meta.url)
const real = readdirSync(folder).map((name) => readFileSync(new URL(name, folder), 'utf8'))
const names = RULES.map(({ name }) => name)

/** Pieces that rules look at, next to each other in every order. */
const piece = fc.constantFrom(
  'FROM base',
  'from base AS B',
  'AS x',
  '# check=skip=',
  'error=true;',
  'experimental=all',
  ...names,
  ',',
  ';',
  '\n',
  'ARG',
  'ENV',
  'TOKEN',
  '=',
  ' ',
  '$a',
  '${b:-$c}',
  'EXPOSE',
  '80:',
  '/TcP',
  'COPY',
  '.',
  '/',
  '\\\n\n',
  'CMD x',
  '#',
)
const dockerfile = fc.oneof(
  fc.array(piece, { maxLength: 40 }).map((pieces) => `FROM base\n${pieces.join('')}`),
  fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join('')),
  fc.tuple(fc.constantFrom(...real), fc.nat(), piece).map(([text, at, added]) => {
    const place = at % (text.length + 1)
    return text.slice(0, place) + added + text.slice(place)
  }),
)

test('whatever a Dockerfile says, its warnings name rules and lines of it', async () => {
  const property = fc.asyncProperty(dockerfile, async (text) => {
    const { said } = await lint(text, { allStages: true, ignore: ['*', 'b'] })
    const lines = text.split('\n').length
    for (const line of said) {
      const [, number, rule] = /^(\d+) (\w+): ./s.exec(line) ?? []
      expect(names).toContain(rule)
      expect(Number(number)).toBeGreaterThan(0)
      expect(Number(number)).toBeLessThanOrEqual(lines)
    }
  })
  await fc.assert(property, { numRuns: 500 })
})
