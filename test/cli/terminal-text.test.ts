import { array, assert, constantFrom, oneof, property, string } from 'fast-check'
import stringWidth from 'string-width'
import { expect, test } from 'vitest'
import { OutputLines } from '../../cli/output-lines.ts'
import { cleanLine, displayLine } from '../../cli/terminal-text.ts'

const ESC = '\u001b'

test.for<[string, string]>([
  ['plain text, ünïcode and 漢字 🚀', 'plain text, ünïcode and 漢字 🚀'],
  [`${ESC}[1;31mred${ESC}[0m`, `${ESC}[1;31mred${ESC}[0m`],
  [`${ESC}[38:2::1:2:3mcolour`, `${ESC}[38:2::1:2:3mcolour`],
  [`a${ESC}[2Jb${ESC}[10;10Hc${ESC}[?25ld`, 'abcd'],
  [`a${ESC}]0;title\u0007b${ESC}]8;;http://x${ESC}\\c`, 'abc'],
  [`a${ESC}Pq#1;2${ESC}\\b${ESC}_x${ESC}\\c`, 'abc'],
  [`a${ESC}]0;never ended`, 'a'],
  ['a\u009b31mb\u009b2Jc', `a${ESC}[31mbc`],
  ['a\u0090x\u009cb\u0085c', 'abc'],
  [`${ESC}cx${ESC}(0y${ESC}7z`, 'xyz'],
  ['10%\r20%\r100%', '100%'],
  ['done\r', 'done'],
  ['a\u0008b\u0007c\u0000', 'abc'],
  ['a\tb', 'a\tb'],
  ['a\u202eb\u2066c', 'abc'],
  [`${ESC}[${ESC}[31m`, `${ESC}[31m`],
  [`a${ESC}`, 'a'],
])('%j is shown as %j', ([text, expected]) => {
  expect(cleanLine(text)).toBe(expected)
})

test('a line for a place of known width has blanks for tabs and ends its colours', () => {
  expect(displayLine('a\tbcd\te', false)).toBe('a       bcd     e')
  expect(displayLine(`${ESC}[31mred\tx`, true)).toBe(`${ESC}[31mred     x${ESC}[0m`)
  expect(displayLine(`${ESC}[31mred`, false)).toBe('red')
})

test('whatever is printed, nothing but text and colours is left, in linear time', () => {
  const hostile = array(
    oneof(
      constantFrom(ESC, '[', ']', 'P', '\\', '\u0007', '\u009b', '\u009c', ';', '31', 'm', 'J', '\r', '\t', '?'),
      string({ unit: 'binary' }),
    ),
  )
  assert(
    property(hostile, (pieces) => {
      const clean = cleanLine(pieces.join(''))
      const rest = clean.split(ESC)
      for (const piece of rest.slice(1)) expect(piece).toMatch(/^\[[\d;:]*m/)
      expect(rest.join('').replaceAll('\t', '')).not.toMatch(/\p{Cc}/u)
      expect(stringWidth(displayLine(clean, false))).toBe(stringWidth(displayLine(clean, true)))
    }),
  )
  const startedAtMs = performance.now()
  cleanLine(`${ESC}[`.repeat(20_000))
  cleanLine(`${ESC}]`.repeat(20_000))
  cleanLine(`\r${ESC}P`.repeat(20_000))
  expect(performance.now() - startedAtMs).toBeLessThan(1000)
})

test('output is cut into lines wherever its pieces end; a line without an end is cut in the end', () => {
  const lines = new OutputLines()
  const bytes = Buffer.from('één\ntwee\n…')
  const taken = Array.from(bytes, (byte) => lines.take(Buffer.from([byte]))).flat()
  expect([taken, lines.rest, lines.end(), lines.rest, lines.end()]).toEqual([['één', 'twee'], '…', ['…'], '', []])
  expect(lines.take(Buffer.alloc(40_000, 'x')).map(({ length }) => length)).toEqual([16_384, 16_384])
  expect(lines.rest).toHaveLength(40_000 - 2 * 16_384)
  expect(lines.take(Buffer.from([0xff, 0x0a]))[0]?.endsWith('\ufffd')).toBe(true)
})
