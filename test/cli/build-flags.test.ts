import { Command } from 'commander'
import { expect, test } from 'vitest'
import { addBuildFlags, type BuildFlags, plainArguments } from '../../cli/build-flags.ts'

function parse(...args: string[]): BuildFlags {
  const command = addBuildFlags(new Command('build').argument('[context...]').exitOverride()).configureOutput({
    writeErr: () => {},
  })
  return command.parse(plainArguments(args), { from: 'user' }).opts()
}

test('without flags lists are empty, switches are off, and the cache is used', () => {
  expect(parse('.')).toMatchObject({ tag: [], cacheFilter: [], output: [], pull: false, push: false, cache: true })
  expect(parse('.').network).toBeUndefined()
})

test('flags may be repeated, short, before and behind the context', () => {
  expect(parse('-t', 'a', '.', '--tag=b', '-c5', '-m', '1g', '-qD', '--no-cache')).toMatchObject({
    tag: ['a', 'b'],
    cpuShares: '5',
    memory: '1g',
    quiet: true,
    debug: true,
    cache: false,
  })
  expect(parse('--no-cache-filter', 'a,b', '--no-cache-filter=c', '.')).toMatchObject({
    cacheFilter: ['a,b', 'c'],
    cache: true,
  })
})

test('switches may have a value, as other builders let them', () => {
  expect(parse('--pull=true', '--push=false', '--no-cache=1', '-q=true', '.')).toMatchObject({
    pull: true,
    push: false,
    cache: false,
    quiet: true,
  })
  expect(plainArguments(['-t=x:y', '--tag=a=b', '--', '--pull=true'])).toEqual([
    '-t',
    'x:y',
    '--tag=a=b',
    '--',
    '--pull=true',
  ])
  expect(() => parse('--pull=maybe', '.')).toThrow('unknown option')
})

test('flags without an effect are known', () => {
  expect(() => parse('--rm', '--force-rm', '--compress', '--isolation', 'x', '--security-opt=a', '.')).not.toThrow()
  expect(() => parse('--nonsense', '.')).toThrow('unknown option')
})
