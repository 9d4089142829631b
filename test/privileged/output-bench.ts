import { type BuiltResult, DEFAULT_IMAGE_SETTINGS, pushResult } from '#buildkit-lite'
import { parseImageReference } from '#domain/image-reference'
import { run } from '#host/exec'
import { sendOutputs } from '../../cli/build-outputs.ts'
import { readOutputs } from '../../cli/read-outputs.ts'
import { type BuildBench, openBuildBench } from './build-bench.ts'
import { never } from './busybox.ts'

export const PLATFORMS = ['linux/amd64', 'linux/arm64']

/** The builder with a registry that has the image `multi` of two platforms, and what sends results out. */
export interface OutputBench extends AsyncDisposable {
  bench: BuildBench
  push(this: void, result: BuiltResult, name: string): Promise<void>
  /** Sends the result where `-o` says, and returns what the user is told. */
  send(this: void, result: BuiltResult, output: string, tag?: string[], signal?: AbortSignal): Promise<string[]>
  /** Arguments that name an image in the registry for skopeo. */
  remote(name: string): string[]
}

export async function openOutputBench(name: string): Promise<OutputBench> {
  await using stack = new AsyncDisposableStack()
  const bench = stack.use(await openBuildBench(name))
  const { tools, host } = bench
  const push = async (result: BuiltResult, to: string): Promise<void> => {
    const names = [parseImageReference(`${host}/${to}`)]
    await pushResult(result, { names, byDigestOnly: false }, tools.registry, never)
  }
  const dockerfile = 'FROM scratch\nARG TARGETARCH\nCOPY bin-$TARGETARCH /bin/tool\n'
  const base = { Dockerfile: dockerfile, 'bin-amd64': 'x86\n', 'bin-arm64': 'arm\n' }
  await push((await bench.buildPlatforms(base, PLATFORMS)).result, 'library/multi:latest')
  const owned = stack.move()
  return {
    bench,
    push,
    send: (result, output, tag = [], signal = never) => send(bench, result, { output, tag }, signal),
    remote: (image) => ['--tls-verify=false', `docker://${host}/${image}`],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function send(
  { tools }: BuildBench,
  result: BuiltResult,
  { output, tag }: { output: string; tag: string[] },
  signal: AbortSignal,
): Promise<string[]> {
  const notes: string[] = []
  const during = async <T>(_title: string, work: (tell: () => Promise<void>) => Promise<T>) =>
    await work(async () => {})
  const engine = { tools, registry: tools.registry, registryWith: async () => tools.registry }
  const settings = result.graphs[0]?.request.image ?? DEFAULT_IMAGE_SETTINGS
  const outputs = readOutputs({ output: [output], push: false, tag }, settings)
  await sendOutputs(outputs, result, { engine, progress: { during }, note: (text) => notes.push(text) }, signal)
  return notes
}

export async function skopeo(...args: string[]): Promise<string> {
  return (await run('skopeo', args)).stdout.toString()
}

export async function inspect(...args: string[]) {
  return JSON.parse(await skopeo('inspect', ...args))
}
