import { expect, test } from 'vitest'
import { changeMode, parseModeChange } from '../../../buildkit-lite/solver/chmod.ts'

test.for<[string, number, boolean, number]>([
  ['755', 0o600, false, 0o755],
  ['4755', 0o600, false, 0o4755],
  ['0640', 0o777, true, 0o640],
  ['+x', 0o644, false, 0o755],
  ['a-w', 0o666, false, 0o444],
  ['u=rwX,go=rX', 0o600, false, 0o644],
  ['u=rwX,go=rX', 0o700, false, 0o755],
  ['u=rwX,go=rX', 0o770, true, 0o755],
  ['go-rwx,u+s', 0o664, false, 0o4600],
  ['a=r', 0o640, false, 0o444],
  ['+t', 0o777, true, 0o1777],
  ['g=', 0o664, false, 0o604],
  // Whether X counts is asked of the mode as it was.
  ['u=rwx,g=rX', 0o604, false, 0o744],
  ['g=u', 0o741, false, 0o771],
  ['go=u-w', 0o750, false, 0o755],
  ['u+r-w', 0o244, false, 0o444],
  ['o+s,o+t', 0o755, false, 0o755],
  ['a=rx', 0o6755, true, 0o555],
])('%s on %o (directory: %s) is %o', ([change, mode, isDirectory, expected]) => {
  expect(changeMode(parseModeChange(change), mode, isDirectory).toString(8)).toBe(expected.toString(8))
})

test.for(['9z', '64a', '77777', '', 'u+q', 'rwx'])('"%s" is a mistake', (text) => {
  expect(() => parseModeChange(text)).toThrow(`invalid chmod parameter: '${text}'`)
})
