import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type ParsedDockerfile, parseDockerfile } from '../../../buildkit-lite/dockerfile/parse.ts'
import { planDockerfile } from '../../../buildkit-lite/plan/plan-dockerfile.ts'

const folder = new URL('../../fixtures/dockerfiles-public/', import.meta.url)
const names = readdirSync(folder)
const amd64 = { os: 'linux', architecture: 'amd64' }

test('there are two hundred of them', () => {
  expect(names.length).toBeGreaterThanOrEqual(200)
})

/** Dockerfiles as people write them for all kinds of programs: what is read of each agrees with a look at its lines. */
test.for(names)('%s', async (name) => {
  const text = readFileSync(new URL(name, folder), 'utf8')
  const dockerfile = parseDockerfile(text, name)
  const lines = text.split('\n')
  expect(dockerfile.stages.length).toBe(lines.filter((line) => /^\s*FROM\s/i.test(line)).length)
  checkRanges(dockerfile, lines)
  for (const target of [null, ...dockerfile.stages.map((stage) => stage.from.name)]) await plan(dockerfile, target)
})

/** Each instruction begins with its keyword, ends where it does, and no line between two of them says anything. */
function checkRanges({ globalArgs, stages, directives }: ParsedDockerfile, lines: readonly string[]): void {
  const ranges = [...globalArgs, ...stages.flatMap((stage) => [stage, ...stage.instructions])]
  const covered = new Set<number>()
  for (const { keyword, first, last } of ranges) {
    expect(lines[first - 1]?.replace('\uFEFF', '').trimStart().startsWith(keyword)).toBe(true)
    for (let line = first; line <= last; line++) {
      expect(covered.has(line)).toBe(false)
      covered.add(line)
    }
    const end = lines[last - 1]?.trimEnd() ?? ''
    const continues = end.endsWith(directives.escape) && !end.endsWith(directives.escape.repeat(2))
    expect(continues && last < lines.length - 1).toBe(false)
  }
  for (const [index, line] of lines.entries()) {
    if (!covered.has(index + 1)) expect(line.replace('\uFEFF', '').trim()).toMatch(/^(?:#.*)?$/)
  }
}

async function plan(dockerfile: ParsedDockerfile, target: string | null): Promise<void> {
  const { steps } = await planDockerfile(
    {
      dockerfile,
      target,
      buildArgs: {},
      labels: {},
      platform: amd64,
      buildPlatform: amd64,
      network: 'default',
      namedContexts: {},
      resolver: {
        resolve: async (reference) => ({
          reference,
          manifestDigest: 'sha256:0',
          config: { ...amd64, config: { Env: ['PATH=/bin'] }, rootfs: { type: 'layers', diff_ids: [] } },
          layers: [],
          source: 'test',
        }),
      },
    },
    new AbortController().signal,
  )
  expect(new Set(steps).size).toBe(steps.length)
}
