import { describe, expect, test } from 'vitest'
import { readLines } from '../../../buildkit-lite/dockerfile/lines.ts'

const read = (text: string) => readLines({ name: 'Dockerfile', text })

describe('the directives at the top', () => {
  test.for([
    ['# escape=`\nFROM a', { escape: '`' }],
    ['#ESCAPE = `\r\nFROM a', { escape: '`' }],
    ['  # syntax=docker/dockerfile:1\n# escape=`\nFROM a', { escape: '`', syntax: 'docker/dockerfile:1' }],
    ['# check=skip=JSONArgsRecommended;error=true\nFROM a', { check: 'skip=JSONArgsRecommended;error=true' }],
    ['\uFEFF# escape=`\nFROM a', { escape: '`' }],
    ['# a comment\n# escape=`\nFROM a', { escape: '\\' }],
    ['\n# escape=`\nFROM a', { escape: '\\' }],
    ['# key=value\n# escape=`\nFROM a', { escape: '\\' }],
    ['FROM a\n# escape=`\n', { escape: '\\' }],
    ['# syntax=docker/dockerfile:1\n\n# escape=`\nFROM a', { escape: '\\' }],
    ['#!/usr/bin/env build\n# escape=`\nFROM a', { escape: '\\' }],
    ['# escape=\nFROM a', { escape: '\\' }],
  ] as const)('%j', ([text, expected]) => {
    expect(read(text).directives).toMatchObject(expected)
  })
})

describe('the instructions', () => {
  test.for([
    ['one a line', 'FROM a\nRUN b\n', ['FROM a', 'RUN b']],
    ['blanks and tabs in front', '  FROM a\n\t RUN b', ['FROM a', 'RUN b']],
    ['comments between', 'FROM a\n  # b\n#c\nRUN d', ['FROM a', 'RUN d']],
    ['a hash that begins no line', 'RUN a # b', ['RUN a # b']],
    ['a continuation keeps the blanks of the next line', 'RUN a \\\n   b', ['RUN a    b']],
    ['a continuation puts no space in', 'RUN a\\\nb', ['RUN ab']],
    ['blanks behind the escape', 'RUN a \\ \t\n b', ['RUN a  b']],
    ['two escapes continue nothing', 'RUN a \\\\\nUSER b', ['RUN a \\\\', 'USER b']],
    ['three escapes continue nothing', 'RUN a \\\\\\\nUSER b', ['RUN a \\\\\\', 'USER b']],
    ['an escape alone on its line', 'RUN a \\\n\\\nb', ['RUN a b']],
    ['comments inside, which continue nothing', 'RUN a \\\n# b \\\n  # c\n d', ['RUN a  d']],
    ['empty lines inside', 'RUN a \\\n\n \t\n b', ['RUN a  b']],
    ['an escape at the end', 'RUN a \\', ['RUN a ']],
    ['an escape and a newline at the end', 'RUN a \\\n', ['RUN a ']],
    ['carriage returns', 'RUN a \\\r\n b\r\nUSER c\r\n', ['RUN a  b', 'USER c']],
    ['another escape', '# escape=`\nRUN a\\ `\n b', ['RUN a\\  b']],
  ] as const)('%s', ([, text, expected]) => {
    expect(read(text).lines.map((line) => line.text)).toEqual(expected)
  })

  test('each knows its lines, with here-documents and comments inside', () => {
    const text = '# c\nFROM a\n\nRUN b \\\n # c\n\n d\nRUN <<E\n# e\n\nE\nUSER f \\\n'
    expect(read(text).lines.map(({ first, last }) => [first, last])).toEqual([
      [2, 2],
      [4, 7],
      [8, 11],
      [12, 12],
    ])
  })

  test('the ends of those with an empty line inside are told', () => {
    expect(read('RUN a \\\n\n b\nRUN c \\\n d\nRUN e \\\n\n').emptyContinuations).toEqual([3, 7])
  })

  test.for([
    ['as long as may be', 'x'.repeat(65_531), true],
    ['one byte too long', 'x'.repeat(65_532), false],
    ['too long in bytes, not in characters', 'é'.repeat(33_000), false],
    ['long, but in the middle of a file', `${'x'.repeat(65_531)}\nUSER b`, true],
  ] as const)('a line %s', ([, rest, isRead]) => {
    const work = () => read(`RUN ${rest}`)
    if (isRead) expect(work().lines[0]?.text).toHaveLength(65_535)
    else expect(work).toThrow('dockerfile line greater than max allowed size of 65535')
  })
})
