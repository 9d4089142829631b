import { expect, test } from 'vitest'
import { parseTrigger } from '../../../buildkit-lite/dockerfile/parse.ts'

const source = { name: 'Dockerfile', text: '# one\nFROM base \\\n  AS b\n' }
const lines = { first: 2, last: 3 }
const read = (text: string, escape: '\\' | '`' = '\\') => parseTrigger({ text, escape }, source, lines)

test('a trigger stands where it fires', () => {
  expect(read('RUN <<E\na\nE')).toMatchObject({ first: 2, last: 3, instruction: { heredocs: [{ content: 'a\n' }] } })
})

test.for([
  ['ENV A=a` b', '`', [{ name: 'A', value: 'a` b' }]],
  [
    'ENV A=C:\\ B=2',
    '`',
    [
      { name: 'A', value: 'C:\\' },
      { name: 'B', value: '2' },
    ],
  ],
  ['ENV A=a\\ b', '\\', [{ name: 'A', value: 'a\\ b' }]],
] as const)('%s is read with the escape %s', ([text, escape, pairs]) => {
  expect(read(text, escape).instruction).toMatchObject({ pairs })
})

test.for([
  ['RUN a\nRUN b', 'onbuild trigger should be a single expression'],
  ['', 'onbuild trigger should be a single expression'],
  ['RUN <<E\na', 'unterminated heredoc'],
  ['FROM x', "FROM isn't allowed as an ONBUILD trigger"],
  ['ONBUILD RUN x', "ONBUILD isn't allowed as an ONBUILD trigger"],
  ['COPY x', 'COPY requires at least two arguments'],
  ['RUNN x', 'unknown instruction: RUNN (did you mean RUN?)'],
] as const)('%j is a mistake where it fires: %s', ([text, message]) => {
  expect(() => read(text)).toThrow(message)
  expect(() => read(text)).toThrow(
    expect.objectContaining({ line: 2, excerpt: expect.stringContaining('   2 | >>> FROM base') }),
  )
})
