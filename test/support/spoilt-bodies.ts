/** Values that no field of a webhook expects, and one that some do. */
const HOSTILE: unknown[] = [
  null,
  -1,
  'x',
  '',
  '../../etc/passwd',
  '$(id)\n',
  [],
  {},
  true,
  Array.from({ length: 5000 }, () => null),
  JSON.parse('{"__proto__":{"a":1},"constructor":null,"length":-1}'),
]

/** The body with one field after another removed, and put to each hostile value. `maxDepth` limits how deep fields lie. */
export function* spoiltBodies(
  body: unknown,
  { maxDepth = 12, values = HOSTILE }: { maxDepth?: number; values?: unknown[] } = {},
): Generator<{ body: unknown; what: string }> {
  for (const path of pathsOf(body, maxDepth)) {
    const removed = structuredClone(body)
    change(removed, path, (parent, key) => delete parent[key])
    yield { body: removed, what: `${path.join('.')} removed` }
    for (const value of values) {
      const spoilt = structuredClone(body)
      change(spoilt, path, (parent, key) => {
        parent[key] = value
      })
      yield { body: spoilt, what: `${path.join('.')} = ${JSON.stringify(value).slice(0, 40)}` }
    }
  }
}

function* pathsOf(value: unknown, maxDepth: number, at: string[] = []): Generator<string[]> {
  if (typeof value !== 'object' || value === null || at.length >= maxDepth) return
  for (const [key, child] of Object.entries(value)) {
    // The elements of a list are alike.
    if (Array.isArray(value) && key !== '0') continue
    yield [...at, key]
    yield* pathsOf(child, maxDepth, [...at, key])
  }
}

function change(body: unknown, path: string[], act: (parent: Record<string, unknown>, key: string) => void): void {
  let parent = body as Record<string, unknown>
  for (const key of path.slice(0, -1)) parent = parent[key] as Record<string, unknown>
  const last = path.at(-1)
  if (last !== undefined) act(parent, last)
}
