import { Command } from 'commander'
import { expect, test } from 'vitest'
import { addBuildFlags, type BuildFlags, plainArguments } from '../../cli/build-flags.ts'
import { UsageError } from '../../cli/exit-codes.ts'
import { readFlags, readNotes } from '../../cli/read-flags.ts'

function parse(...args: string[]): BuildFlags {
  const command = addBuildFlags(new Command('build').argument('[context...]').exitOverride())
  return command.parse(plainArguments([...args, '.']), { from: 'user' }).opts()
}

test.for<[string[], string]>([
  [['--progress=fancy'], '--progress "fancy" is unknown'],
  [['-q', '--progress=plain'], '--progress=plain and --quiet cannot be used together'],
  [['--network=weird'], '--network "weird" is not supported'],
  [['--push'], 'a push needs a name'],
  [['-t', 'UPPER/case'], '--tag: '],
  [['--shm-size=x'], '--shm-size "x" is no size'],
  [['--ulimit=a=1'], 'there is no limit "a"'],
  [['--platform=vax'], 'failed to parse platform vax'],
  [['--add-host=a:host-gateway'], 'there is no host-gateway'],
  [['--cache-from=type=floppy'], '--cache-from "type=floppy"'],
  [['--cache-to=type=registry'], '--cache-to "type=registry"'],
  [['--allow=all'], '--allow "all" is unknown'],
  [['--call=dance'], '--call "dance"'],
  [['--check', '--call=outline'], '--check and --call=outline cannot be used together'],
  [['-o', 'type=zip'], 'has the type "zip"'],
])('%j is wrong use', ([args, message]) => {
  const read = () => readFlags(parse(...args))
  expect(read).toThrow(UsageError)
  expect(read).toThrow(message)
})

test('flags become what is asked for', () => {
  const args = ['--no-cache-filter=A,b', '--pull', '--no-cache', '--target=x', '--cache-to=type=inline', '--call=check']
  expect(readFlags(parse(...args, '--platform=linux/arm64,linux/amd64'))).toMatchObject({
    asked: { noCacheStages: ['a', 'b'], pull: true, useCache: false, target: 'x' },
    image: { inlineCache: true },
    call: { method: 'check' },
    platforms: [{ architecture: 'arm64' }, { architecture: 'amd64' }],
  })
  expect(readFlags(parse('-q')).form).toBe('quiet')
  expect(readFlags(parse('--check', '--call=check,format=json')).call).toMatchObject({
    method: 'check',
    format: 'json',
  })
})

test('what has no effect is said, and what would need a daemon is refused', () => {
  expect(readNotes(parse('--builder=x', '--cgroup-parent=y'))).toEqual([
    '--builder x is ignored: there is one builder',
    expect.stringContaining('--cgroup-parent y is ignored'),
  ])
  expect(readNotes(parse('--squash', '--isolation=hyperv', '--security-opt=a', '--rm'))).toEqual([
    expect.stringContaining('--squash is ignored'),
    expect.stringContaining('--isolation hyperv is ignored'),
    expect.stringContaining('--security-opt a is ignored'),
  ])
  expect(() => readNotes(parse('--load'))).toThrow('--load needs a Docker daemon')
})
