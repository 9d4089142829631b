import { type BuildContext, dockerfileNames, type Registry } from '#buildkit-lite'
import { formatImageReference, parseImageReference } from '#domain/image-reference'
import type { Progress } from './progress.ts'

/** The same context; reading the Dockerfile and listing the files are shown, once each. */
export function watchContext(
  context: BuildContext,
  dockerfile: string | null,
  progress: Pick<Progress, 'during'>,
): BuildContext {
  const names = dockerfile === null ? [] : dockerfileNames(dockerfile)
  const shown = new Set<string>()
  const isFirst = (title: string): boolean => !shown.has(title) && shown.add(title) !== null
  const entries: BuildContext['entries'] = async (signal) => {
    if (!isFirst('context')) return await context.entries(signal)
    return await progress.during('[internal] load build context', async (tell) => {
      const found = await context.entries(signal)
      const sizeBytes = found.reduce((sum, entry) => sum + entry.sizeBytes, 0)
      await tell(`reading context: ${found.length} ${found.length === 1 ? 'entry' : 'entries'}, ${sizeOf(sizeBytes)}`)
      return found
    })
  }
  const readFile: BuildContext['readFile'] = async (path, maxBytes, signal) => {
    const read = async () => await context.readFile(path, maxBytes, signal)
    if (!names.includes(path) || !isFirst('dockerfile')) return await read()
    return await progress.during(`[internal] load build definition from ${dockerfile}`, async (tell) => {
      const bytes = await read()
      if (bytes) await tell(`reading dockerfile: ${sizeOf(bytes.length)}`)
      return bytes
    })
  }
  return replace(context, { entries, readFile })
}

/** The same client; finding out what is behind a name is shown. */
export function watchRegistry(registry: Registry, progress: Pick<Progress, 'during'>): Registry {
  const resolve: Registry['resolve'] = async (name, platform, signal) => {
    const title = `[internal] load metadata for ${formatImageReference(parseImageReference(name))}`
    return await progress.during(title, async () => await registry.resolve(name, platform, signal))
  }
  return replace(registry, { resolve })
}

/** `target` with some of its methods replaced; the others are its own, whatever class it is of. */
function replace<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, {
    get: (_target, key) => {
      if (Object.hasOwn(methods, key)) return Reflect.get(methods, key)
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

const UNITS = ['kB', 'MB', 'GB', 'TB']

/** `61B`, `2.13kB`: with three digits, as other builders write sizes. */
export function sizeOf(bytes: number): string {
  let value = bytes
  let unit = 'B'
  for (const next of UNITS) {
    if (value < 1000) break
    value /= 1000
    unit = next
  }
  return `${unit === 'B' ? value : value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)}${unit}`
}
