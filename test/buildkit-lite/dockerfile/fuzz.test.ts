import { readdirSync, readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SlipwayError } from '#domain/errors'
import { DockerfileError, SyntaxFault } from '../../../buildkit-lite/dockerfile/errors.ts'
import { expand } from '../../../buildkit-lite/dockerfile/expand.ts'
import { type ParsedDockerfile, parseDockerfile } from '../../../buildkit-lite/dockerfile/parse.ts'
import { planDockerfile } from '../../../buildkit-lite/plan/plan-dockerfile.ts'

const folder = new URL('../../fixtures/dockerfiles/', import.meta.url)
const publicFolder = new URL('../../fixtures/dockerfiles-public/', import.meta.url)
const real = [
  ...readdirSync(folder).map((name) => readFileSync(new URL(`${name}/Dockerfile`, folder), 'utf8')),
  ...readdirSync(publicFolder).map((name) => readFileSync(new URL(name, publicFolder), 'utf8')),
]

/** Everything here takes milliseconds; a machine with other work may take a second. */
const TOO_LONG_MS = 3000
const runs = { numRuns: 1500 }

/** What a text becomes: a Dockerfile, or a mistake with its place. Any other exception fails the test. */
function parse(text: string): ParsedDockerfile | DockerfileError {
  const started = performance.now()
  try {
    return parseDockerfile(text, 'Dockerfile')
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error
    expect(error.excerpt).toMatch(/^Dockerfile:\d+\n-{20}\n[^]*\n-{20}$/)
    expect(error.line).toBeLessThanOrEqual(Math.max(1, text.split('\n').length))
    return error
  } finally {
    expect(performance.now() - started).toBeLessThan(TOO_LONG_MS)
  }
}

const amd64 = { os: 'linux', architecture: 'amd64' }

async function plan(text: string): Promise<void> {
  const dockerfile = parse(text)
  if (dockerfile instanceof DockerfileError) return
  const started = performance.now()
  try {
    await planDockerfile(
      {
        dockerfile,
        target: null,
        buildArgs: { VERSION: '1.2.3', HTTP_PROXY: 'http://proxy' },
        labels: {},
        platform: amd64,
        buildPlatform: amd64,
        network: 'default',
        namedContexts: {},
        resolver: {
          resolve: async (reference) => ({
            reference,
            manifestDigest: 'sha256:0',
            config: { ...amd64, config: { OnBuild: ['RUN true'] }, rootfs: { type: 'layers', diff_ids: [] } },
            layers: [],
            source: 'test',
          }),
        },
      },
      new AbortController().signal,
    )
  } catch (error) {
    if (!(error instanceof SlipwayError)) throw error
    // A mistake of the user's, never one of ours.
    expect(error.kind).not.toBe('internal')
  }
  expect(performance.now() - started).toBeLessThan(TOO_LONG_MS)
}

const spice = fc.constantFrom(
  '$',
  '${',
  '}',
  '<<',
  '<<EOF',
  '\\',
  '`',
  "'",
  '"',
  '\\\n',
  '#',
  '--',
  '=',
  '[',
  '\r',
  '\t',
  '\0',
  '\uFEFF',
  'é',
  '😀',
  ' ',
)
const keyword = fc.constantFrom(
  'FROM',
  'RUN',
  'COPY',
  'ADD',
  'ENV',
  'ARG',
  'LABEL',
  'EXPOSE',
  'VOLUME',
  'USER',
  'WORKDIR',
  'SHELL',
  'CMD',
  'HEALTHCHECK',
  'ONBUILD',
  'STOPSIGNAL',
  '# escape=`',
  '# check=',
  '# syntax=',
)
const word = fc.oneof(
  spice,
  fc.string({ maxLength: 8 }),
  fc.constantFrom(
    'AS',
    'base',
    'scratch',
    '$A',
    '${A:-b}',
    '${A#*}',
    '--from=base',
    '--mount=type=cache,target=/c',
    '["a"]',
    'EOF',
    '80/tcp',
    'a=b',
    '--platform=linux/amd64',
    '<<EOF\nx\nEOF',
    'CMD',
  ),
)
/** Texts made of a Dockerfile's own words. */
const grammarText = fc
  .array(fc.tuple(keyword, fc.array(word, { maxLength: 6 })), { maxLength: 12 })
  .map((lines) => lines.map(([first, words]) => [first, ...words].join(' ')).join('\n'))

type Mutation = (text: string, at: number, other: number, piece: string) => string
const cutLines = (text: string, at: number) => {
  const lines = text.split('\n')
  return { lines, at: Math.floor(at * lines.length) }
}
const mutations: readonly Mutation[] = [
  (text, at) => {
    const { lines, at: line } = cutLines(text, at)
    return lines.toSpliced(line, 1).join('\n')
  },
  (text, at) => {
    const { lines, at: line } = cutLines(text, at)
    return lines.toSpliced(line, 0, lines[line] ?? '').join('\n')
  },
  (text, at, other) => {
    const { lines, at: line } = cutLines(text, at)
    const second = Math.floor(other * lines.length)
    return lines
      .with(line, lines[second] ?? '')
      .with(second, lines[line] ?? '')
      .join('\n')
  },
  (text, at, _other, piece) => {
    const place = Math.floor(at * text.length)
    return text.slice(0, place) + piece + text.slice(place)
  },
  (text, at, _other, piece) => {
    const place = Math.floor(at * text.length)
    return text.slice(0, place) + piece + text.slice(place + 1)
  },
  (text, at) => text.slice(0, Math.floor(at * text.length)),
]
const share = fc.double({ min: 0, max: 0.999, noNaN: true })
const mutated = fc
  .tuple(
    fc.constantFrom(...real),
    fc.array(fc.tuple(fc.constantFrom(...mutations), share, share, spice), { minLength: 1, maxLength: 6 }),
  )
  .map(([text, changes]) => changes.reduce((now, [mutate, at, other, piece]) => mutate(now, at, other, piece), text))

describe('whatever comes in, a Dockerfile or a mistake with its place comes out', { timeout: 60_000 }, () => {
  test('of bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        parse(Buffer.from(bytes).toString('utf8'))
      }),
      runs,
    )
  })

  test('of text in any script', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        parse(text)
        parse(`FROM a\n${text}`)
      }),
      runs,
    )
  })

  test('of the words of Dockerfiles in any order, planned too', async () => {
    await fc.assert(
      fc.asyncProperty(grammarText, async (text) => {
        await plan(text)
        await plan(`FROM a\n${text}`)
      }),
      runs,
    )
  })

  test('of one instruction with any words, planned too', async () => {
    const line = fc
      .tuple(keyword, fc.array(word, { maxLength: 5 }))
      .map(([first, words]) => [first, ...words].join(' '))
    await fc.assert(
      fc.asyncProperty(line, (text) => plan(`FROM a AS base\n${text}`)),
      { numRuns: 4000 },
    )
  })

  test('of damaged Dockerfiles, planned too', async () => {
    await fc.assert(fc.asyncProperty(mutated, plan), runs)
  })
})

describe('the expander', { timeout: 60_000 }, () => {
  const variables = fc.dictionary(fc.constantFrom('A', 'B', 'VERY_LONG'), fc.string({ maxLength: 50 }))
  const part = fc.constantFrom(
    '${',
    '}',
    '$',
    'A',
    'B',
    ':-',
    '+',
    '?',
    '#',
    '##',
    '%',
    '%%',
    '/',
    '//',
    '*',
    '\\',
    "'",
    '"',
    ' ',
    'x',
    '<<',
    '`',
  )
  const source = fc.oneof(
    fc.array(part, { maxLength: 30 }).map((parts) => parts.join('')),
    fc.string({ maxLength: 80 }),
  )

  test('answers with a text or a mistake', () => {
    fc.assert(
      fc.property(
        source,
        variables,
        fc.constantFrom('\\', '`'),
        fc.boolean(),
        (text, values, escape, literalQuotes) => {
          const started = performance.now()
          try {
            const { words, text: result } = expand(text, new Map(Object.entries(values)), { escape, literalQuotes })
            expect(words.join('').length).toBeLessThanOrEqual(result.length)
          } catch (error) {
            if (!(error instanceof SyntaxFault)) throw error
          }
          expect(performance.now() - started).toBeLessThan(TOO_LONG_MS)
        },
      ),
      { numRuns: 5000 },
    )
  })

  /** What a pattern means, in the slow words of regular expressions. */
  const patternPart = fc.constantFrom('*', '?', 'a', 'b', '.')
  const pattern = fc.array(patternPart, { maxLength: 6 }).map((parts) => parts.join(''))
  const expression = (text: string, lazy: boolean) =>
    text.replace(/[.*?]/g, (sign) => (sign === '*' ? `[^]*${lazy ? '?' : ''}` : sign === '?' ? '[^]' : '\\.'))
  const value = fc.array(fc.constantFrom('a', 'b', '.', 'é'), { maxLength: 12 }).map((parts) => parts.join(''))
  const expandWith = (text: string, v: string) => expand(text, new Map([['V', v]]), { escape: '\\' }).text

  test('cuts prefixes as a regular expression does', () => {
    fc.assert(
      fc.property(pattern, value, fc.boolean(), (text, v, longest) => {
        const expected = v.replace(new RegExp(`^${expression(text, !longest)}`), '')
        // A pattern that begins with the sign itself would ask for the longest.
        expect(expandWith(`\${V#${longest ? '#' : ''}${text}}`, v)).toBe(expected)
      }),
      { numRuns: 3000 },
    )
  })

  test('cuts suffixes as the same from behind', () => {
    fc.assert(
      fc.property(pattern, value, fc.boolean(), (text, v, longest) => {
        const backwards = (s: string) => Array.from(s).toReversed().join('')
        const expected = backwards(backwards(v).replace(new RegExp(`^${expression(backwards(text), !longest)}`), ''))
        expect(expandWith(`\${V%${longest ? '%' : ''}${text}}`, v)).toBe(expected)
      }),
      { numRuns: 3000 },
    )
  })
})

describe('nothing takes more than its length', () => {
  const many = 20_000
  test.for([
    ['continued lines', `FROM a\nRUN x ${'\\\n y '.repeat(many)}`],
    ['comments inside a continued line', `FROM a\nRUN x \\\n${'# c\n'.repeat(many)}  y`],
    ['empty lines inside a continued line', `FROM a\nRUN x \\\n${'\n'.repeat(many)}  y`],
    ['here-documents', `FROM a\n${'RUN <<E\nx\nE\n'.repeat(many)}`],
    ['here-documents of one line', `FROM a\nCOPY ${'<<E '.repeat(5000)} /d/\n${'E\n'.repeat(5000)}`],
    ['pairs of one ENV', `FROM a\nENV ${Array.from({ length: 5000 }, (_, i) => `K${i}=v`).join(' \\\n')}`],
    ['flags', `FROM a\nRUN ${'--mount=type=tmpfs,target=/a \\\n'.repeat(many)} x`],
    ['excludes', `FROM a\nCOPY ${'--exclude=a \\\n'.repeat(many)} b c`],
    ['spaces before something', `FROM a\nRUN x${' '.repeat(60_000)}y`],
    ['carriage returns before something', `FROM a\nRUN x${'\r'.repeat(60_000)}y`],
    ['spaces in a directive', `# escape =${' '.repeat(60_000)}x\nFROM a`],
    ['digits in a duration', `FROM a\nHEALTHCHECK --interval=${'1'.repeat(60_000)} CMD x`],
    ['brackets', `FROM a\nRUN ${'['.repeat(60_000)}`],
    ['quotes', `FROM a\nENV a=${`'"`.repeat(30_000)}`],
    ['words of EXPOSE', `FROM a\nEXPOSE ${'1 '.repeat(30_000)}`],
  ] as const)('%s', ([, text]) => {
    parse(text)
  })

  test.for([
    ['defaults inside defaults', '${a:-'.repeat(10_000) + '}'.repeat(10_000)],
    ['defaults that are never closed', '${a:-'.repeat(10_000)],
    ['defaults inside quotes', '"${a:-'.repeat(10_000)],
    ['stars in a pattern', `\${V##${'*a'.repeat(5000)}b}`],
    ['stars to replace', `\${V//${'*a'.repeat(5000)}b/c}`],
    ['dollars', '$'.repeat(60_000)],
    ['blanks', ' '.repeat(60_000)],
    ['quotes', `"${'a'.repeat(60_000)}"`.repeat(3)],
    ['values in values', '$V'.repeat(30_000)],
    ['everything replaced by everything', '${V//a/$V}'],
  ] as const)('%s of a variable', ([, text]) => {
    const started = performance.now()
    try {
      expand(text, new Map([['V', 'a'.repeat(10_000)]]), { escape: '\\' })
    } catch (error) {
      expect(error).toBeInstanceOf(SyntaxFault)
    }
    expect(performance.now() - started).toBeLessThan(TOO_LONG_MS)
  })

  test('a variable that doubles on every line', async () => {
    await plan(`FROM scratch\nENV A=xxxxxxxxxx\n${'ENV A=$A$A\n'.repeat(60)}`)
  })
})
