import { expect, test } from 'vitest'
import { UsageError } from '../../cli/exit-codes.ts'
import { readBytes, readFields, readPairs, splitFields, splitList } from '../../cli/flag-values.ts'

test('pairs keep what is behind the first =, and a build-arg alone takes the environment’s value', () => {
  expect(readPairs('--build-arg', ['A=b=c', 'B=', 'SURELY_NOT_SET'])).toEqual({ A: 'b=c', B: '' })
  expect(readPairs('--build-arg', ['PATH'])['PATH']).toBe(process.env['PATH'])
  expect(readPairs('--label', ['a'])).toEqual({ a: '' })
  expect(() => readPairs('--label', ['=x'])).toThrow(UsageError)
})

test('fields are separated by commas, but for those in quotes', () => {
  expect(readFields('type=local,dest=/a b,tar')).toEqual({ type: 'local', dest: '/a b', tar: '' })
  expect(readFields('type=image,"name=a,b",x=1')).toEqual({ type: 'image', name: 'a,b', x: '1' })
  expect(readFields('a=b=c')).toEqual({ a: 'b=c' })
  expect(splitFields('"say ""hi"", you",b')).toEqual(['say "hi", you', 'b'])
  expect(splitList(['a, b', 'c', ','])).toEqual(['a', 'b', 'c'])
})

test.for<[string, number]>([
  ['0', 0],
  ['1024', 1024],
  ['64m', 64 * 1024 * 1024],
  ['64M', 64 * 1024 * 1024],
  ['1.5g', 1.5 * 1024 ** 3],
  ['512kb', 512 * 1024],
  ['2GiB', 2 * 1024 ** 3],
  ['7b', 7],
])('%s is %i bytes', ([text, expected]) => {
  expect(readBytes('--shm-size', text)).toBe(expected)
})

test.for(['', 'm', '-1', '1x', '64 mega', '99999999999999999t'])('"%s" is no size', (text) => {
  expect(() => readBytes('--shm-size', text)).toThrow(UsageError)
})
