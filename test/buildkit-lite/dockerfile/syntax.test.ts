import { describe, expect, test } from 'vitest'
import { parseDockerfile } from '../../../buildkit-lite/dockerfile/parse.ts'
import { detectSyntax } from '../../../buildkit-lite/dockerfile/syntax.ts'

describe('the frontend a file names', () => {
  test.for([
    ['# syntax=a/b:1', { image: 'a/b:1', line: 1 }],
    ['#SYNTAX = a/b:1 --with arguments\nFROM x', { image: 'a/b:1', line: 1 }],
    ['\uFEFF# syntax=a', { image: 'a', line: 1 }],
    ['# escape=`\n# syntax=a', { image: 'a', line: 2 }],
    ['#!/usr/bin/env buildctl\n# syntax=a', { image: 'a', line: 2 }],
    ['//syntax=a', { image: 'a', line: 1 }],
    ['// syntax = a\n{}', { image: 'a', line: 1 }],
    ['{"syntax": "a", "other": 1}', { image: 'a', line: 1 }],
    ['FROM a\n# syntax=a', null],
    ['\n# syntax=a', null],
    ['# comment\n# syntax=a', null],
    ['{"syntax": 1}', null],
    ['{"syntax"', null],
    ['', null],
    ['#!', null],
  ] as const)('%j: %j', ([text, found]) => {
    expect(detectSyntax(text)).toEqual(found)
  })
})

const digest = `sha256:${'a'.repeat(64)}`

describe('is built in', () => {
  test.for([
    'docker/dockerfile',
    'docker/dockerfile:1',
    'docker/dockerfile:1.7',
    'docker/dockerfile:1.10.0',
    'docker/dockerfile:1-labs',
    'docker/dockerfile:1.7-labs',
    'docker/dockerfile:labs',
    'docker/dockerfile:latest',
    'docker/dockerfile:experimental',
    'docker/dockerfile:1.0-experimental',
    `docker/dockerfile:1@${digest}`,
    `docker/dockerfile@${digest}`,
    'docker.io/docker/dockerfile:1',
    'docker/dockerfile-upstream:master',
    'docker.io/docker/dockerfile-upstream:1.2-labs',
    'dockerfile.v0',
  ])('%s', (image) => {
    expect(parseDockerfile(`# syntax=${image}\nFROM a`, 'Dockerfile').directives.syntax).toBe(image)
  })
})

describe('is refused', () => {
  test.for([
    'docker/dockerfile:2',
    'docker/dockerfile:0.1',
    'docker/dockerfile:11',
    'docker/docker',
    'r.example/docker/dockerfile:1',
    'dhi.io/x',
    'docker/dockerfile:1@sha256:1',
  ])('%s', (image) => {
    const work = () => parseDockerfile(`# escape=\\\n# syntax=${image} --x\nFROM a`, 'Dockerfile')
    expect(work).toThrow(`syntax ${image} is not supported: expected docker/dockerfile:1 or a release of it`)
    expect(work).toThrow(expect.objectContaining({ line: 2 }))
  })

  test('before anything else of the file is read', () => {
    expect(() => parseDockerfile('//syntax=example.org/mine\nwhatever', 'x')).toThrow('syntax example.org/mine')
    expect(() => parseDockerfile('{"syntax": "example.org/mine"}', 'x')).toThrow('syntax example.org/mine')
  })

  test('unless the build asks for another one', () => {
    const text = '# syntax=example.org/mine\nFROM a'
    expect(parseDockerfile(text, 'x', undefined, 'docker/dockerfile:1').stages).toHaveLength(1)
    expect(() => parseDockerfile('FROM a', 'x', undefined, 'example.org/mine')).toThrow('syntax example.org/mine')
  })
})
