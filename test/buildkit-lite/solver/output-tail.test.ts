import { expect, test } from 'vitest'
import { OutputTail } from '../../../buildkit-lite/solver/output-tail.ts'

function tailOf(...pieces: [stream: string, text: string | Buffer][]): readonly string[] {
  const tail = new OutputTail()
  for (const [stream, text] of pieces) tail.add(stream, Buffer.from(text))
  return tail.end()
}

test('lines are put together from pieces, of each stream by itself', () => {
  expect(tailOf(['stdout', 'on'], ['stderr', 'error\r\nopen'], ['stdout', 'e\ntwo'])).toEqual([
    'error',
    'one',
    'two',
    'open',
  ])
})

test('a character in two pieces is one', () => {
  const [first, last] = [Buffer.from('ä').subarray(0, 1), Buffer.from('ä').subarray(1)]
  expect(tailOf(['stdout', first], ['stdout', last])).toEqual(['ä'])
})

test('only the last lines are kept, and of each its first part', () => {
  const lines = Array.from({ length: 1000 }, (_, index) => `${index}\n`).join('')
  expect(tailOf(['stdout', lines])).toEqual(Array.from({ length: 20 }, (_, index) => `${980 + index}`))
  const [long] = tailOf(['stdout', 'x'.repeat(100_000)])
  expect(long).toHaveLength(2000)
})
