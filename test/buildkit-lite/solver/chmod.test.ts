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
  // What is copied leaves the special bits alone, what is written takes them away.
  ['g=u', 0o2750, false, 0o2770],
  ['u=g', 0o4755, false, 0o4555],
  ['a=o', 0o6711, false, 0o6111],
  ['go=g', 0o2755, false, 0o2755],
  ['=o', 0o7777, false, 0o7777],
  ['g=r', 0o2750, false, 0o740],
  ['=r', 0o7777, false, 0o1444],
  // The sticky bit of nobody in particular is all that its clause changes.
  ['+rwxst', 0o4644, false, 0o5644],
  ['=t', 0o755, true, 0o1755],
  ['+t+w', 0o644, false, 0o1666],
  ['u=t', 0o755, false, 0o1055],
  // To take X away asks nothing of the mode.
  ['a-X', 0o655, false, 0o644],
  ['=xs,a-X', 0o644, false, 0o6000],
  ['g-=wX', 0o4644, false, 0o4624],
  // A letter that copies comes in its turn.
  ['g=ur', 0o750, false, 0o740],
  ['g+ru', 0o700, false, 0o770],
])('%s on %o (directory: %s) is %o', ([change, mode, isDirectory, expected]) => {
  expect(changeMode(parseModeChange(change), mode, isDirectory).toString(8)).toBe(expected.toString(8))
})

test.for(['9z', '64a', '77777', '', 'u+q', 'rwx'])('"%s" is a mistake', (text) => {
  expect(() => parseModeChange(text)).toThrow(`invalid chmod parameter: '${text}'`)
})
