import { type BuildContext, dockerfileNames } from '#buildkit-lite'
import { type Progress, sizeOf } from './progress.ts'

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
  return replaceMethods(context, { entries, readFile })
}

/** `target` with some of its methods replaced; the others are its own, whatever class it is of. */
export function replaceMethods<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, {
    get: (_target, key) => {
      if (Object.hasOwn(methods, key)) return Reflect.get(methods, key)
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
