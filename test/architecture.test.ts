import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')

/** What may import what: a room, and the rooms it may reach. `types:` before a name means only `import type`. */
const ARROWS: Record<string, readonly string[]> = {
  'core/domain': [],
  'core/host': ['core/domain'],
  'core/store': ['core/domain', 'core/host'],
  sandbox: ['core/domain', 'core/host'],
  'buildkit-lite': ['core/domain', 'core/host', 'types:sandbox'],
  cluster: ['core/domain', 'core/host', 'core/store', 'sandbox', 'buildkit-lite'],
  api: ['core/domain', 'core/host', 'core/store'],
  workers: ['core/domain', 'core/host', 'core/store', 'sandbox', 'buildkit-lite'],
  cli: ['core/domain', 'core/host', 'sandbox', 'buildkit-lite'],
  dashboards: ['core/domain'],
  bench: ['core/domain', 'core/host', 'buildkit-lite', 'test'],
}

/** Which rooms may use a package. What is not listed may be used wherever it is needed. */
const OWNERS: Record<string, readonly string[]> = {
  ioredis: ['core/store'],
  bullmq: ['core/store', 'workers'],
  fastify: ['api', 'cluster'],
  '@octokit/webhooks': ['api'],
  '@kubernetes/client-node': ['workers', 'cli'],
  'simple-git': ['workers'],
  'tar-stream': ['buildkit-lite'],
  react: ['dashboards'],
  pino: ['core/host'],
  'node:child_process': ['core/host'],
}

interface Import {
  file: string
  room: string
  specifier: string
  typeOnly: boolean
}

const aliases = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { imports: Record<string, string> })
  .imports

function roomOf(path: string): string {
  const [first = '', second = ''] = path.split('/')
  return first === 'core' ? `core/${second}` : first
}

/** Where an import leads: a path from the root, or null for a package. */
function resolve(from: string, specifier: string): string | null {
  if (specifier.startsWith('.')) return relative(root, join(root, dirname(from), specifier))
  for (const [alias, target] of Object.entries(aliases)) {
    if (specifier === alias) return target.replace(/^\.\//, '')
    const prefix = alias.replace('*', '')
    if (alias.endsWith('*') && specifier.startsWith(prefix)) {
      return target.replace(/^\.\//, '').replace('*', specifier.slice(prefix.length))
    }
  }
  return null
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8')
  const statements = text.matchAll(
    /^(?:import|export)\s+(?<type>type\s)?(?:[^'"()]*?\sfrom\s+)?'(?<specifier>[^']+)'|import\(\s*'(?<dynamic>[^']+)'\s*\)/gm,
  )
  return [...statements].map(({ groups }) => ({
    file,
    room: roomOf(file),
    specifier: groups?.['specifier'] ?? groups?.['dynamic'] ?? '',
    typeOnly: groups?.['type'] !== undefined,
  }))
}

const files = Object.keys(ARROWS).flatMap((room) =>
  globSync(`${room}/**/*.{ts,tsx}`, { cwd: root, exclude: (path) => path.includes('node_modules') }),
)
const imports = files.filter((file) => !file.startsWith('dashboards/dist/')).flatMap(importsOf)

test('the scan sees the code it judges', () => {
  expect(imports.length).toBeGreaterThan(100)
  expect(new Set(imports.map((one) => one.room)).size).toBeGreaterThan(8)
})

test('rooms import along the arrows, through their public doors', () => {
  const offences = imports.flatMap((one) => {
    const target = resolve(one.file, one.specifier)
    if (target === null || roomOf(target) === one.room) return []
    const to = roomOf(target)
    const allowed = ARROWS[one.room] ?? []
    const open = allowed.includes(to) || (one.typeOnly && allowed.includes(`types:${to}`))
    const door = one.specifier.startsWith('#')
    return open && door ? [] : [`${one.file} imports ${one.specifier}`]
  })
  expect(offences).toEqual([])
})

test('inside a room imports are relative', () => {
  const offences = imports.filter(
    (one) => one.specifier.startsWith('#') && roomOf(resolve(one.file, one.specifier) ?? '') === one.room,
  )
  expect(offences.map((one) => `${one.file} imports ${one.specifier}`)).toEqual([])
})

test('every alias names a room', () => {
  const unknown = imports.filter((one) => one.specifier.startsWith('#') && resolve(one.file, one.specifier) === null)
  expect(unknown.map((one) => `${one.file} imports ${one.specifier}`)).toEqual([])
})

test('packages stay with their owners', () => {
  const offences = imports.flatMap((one) => {
    const owner = Object.keys(OWNERS).find((name) => one.specifier === name || one.specifier.startsWith(`${name}/`))
    return !owner || OWNERS[owner]?.includes(one.room) ? [] : [`${one.file} imports ${one.specifier}`]
  })
  expect(offences).toEqual([])
})

test('only the domain and its validators reach core/domain', () => {
  const foreign = imports.filter((one) => one.room === 'core/domain' && !one.specifier.startsWith('.'))
  expect(new Set(foreign.map((one) => one.specifier)).difference(new Set(['zod', 're2js']))).toEqual(new Set())
})

test('only core/host/config.ts reads the environment', () => {
  const readers = files.filter(
    (file) => /process\.env\b/.test(readFileSync(join(root, file), 'utf8')) && !file.startsWith('dashboards/'),
  )
  expect(readers).toEqual(['core/host/config.ts'])
})
