import { createReadStream } from 'node:fs'
import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import {
  type BuiltImage,
  exportDirectory,
  exportTar,
  fetchLayers,
  pushImage,
  writeDockerArchive,
  writeOciArchive,
} from '#buildkit-lite'
import { formatImageReference, type ImageReference, parseImageReference } from '#domain/image-reference'
import { type BuildFlags, readFields } from './build-flags.ts'
import type { Engine } from './engine.ts'
import { UsageError } from './exit-codes.ts'
import type { Progress } from './progress.ts'

/** One place that the image goes to. `dest` `-` is standard output. */
export type Output =
  | { kind: 'oci' | 'docker' | 'tar'; dest: string }
  | { kind: 'local'; dest: string }
  | { kind: 'push'; names: readonly string[] }
  | { kind: 'none' }

/** Reads every `-o`, with `--push` as one more. */
export function readOutputs(flags: Pick<BuildFlags, 'output' | 'push' | 'tag'>): Output[] {
  const outputs = flags.output.map((text) => readOutput(text, flags.tag))
  if (flags.push) outputs.push(pushOutput(flags.tag))
  return outputs.filter((output) => output.kind !== 'none')
}

function readOutput(text: string, tags: readonly string[]): Output {
  if (!text.includes('=')) return text === '-' ? { kind: 'tar', dest: '-' } : { kind: 'local', dest: resolve(text) }
  const fields = readFields(text)
  const dest = fields['dest'] === '-' ? '-' : fields['dest'] && resolve(fields['dest'])
  const names = fields['name'] ? fields['name'].split(',') : tags
  const type = fields['type'] ?? ''
  switch (type) {
    case 'oci':
    case 'docker':
    case 'tar':
      return { kind: type, dest: dest ?? '-' }
    case 'local':
      if (!dest || dest === '-') throw new UsageError('--output type=local needs dest=DIRECTORY')
      return { kind: 'local', dest }
    case 'registry':
      return pushOutput(names)
    case 'image':
      return fields['push'] === 'true' ? pushOutput(names) : { kind: 'none' }
    default:
      throw new UsageError(`--output "${text}" has no type of oci, docker, tar, local, registry, image`)
  }
}

function pushOutput(names: readonly string[]): Output {
  if (names.length === 0) throw new UsageError('a push needs a name: give one with -t HOST/NAME:TAG')
  return { kind: 'push', names }
}

export function readNames(names: readonly string[]): ImageReference[] {
  return names.map((name) => {
    const reference = parseImageReference(name)
    return parseImageReference(formatImageReference(reference))
  })
}

export async function sendOutput(
  output: Output,
  image: BuiltImage,
  { engine, progress, names }: { engine: Engine; progress: Progress; names: readonly ImageReference[] },
  signal: AbortSignal,
): Promise<void> {
  const { tools, registry } = engine
  switch (output.kind) {
    case 'oci':
    case 'docker': {
      const writeArchive = output.kind === 'oci' ? writeOciArchive : writeDockerArchive
      return await progress.during(`exporting to ${output.kind} archive`, async () => {
        await fetchLayers(image, tools, signal)
        await toDestination(output.dest, (path) => writeArchive({ image, names, path }, tools.blobs, signal))
      })
    }
    case 'tar':
      return await progress.during('exporting to tar', async () => {
        await toDestination(output.dest, (path) => exportTar(image, path, tools, signal))
      })
    case 'local':
      return await progress.during('exporting to directory', () => exportDirectory(image, output.dest, tools, signal))
    case 'push':
      return await progress.during(`pushing ${output.names.join(', ')}`, () =>
        pushImage(image, readNames(output.names), registry, signal),
      )
    case 'none':
      return
    default:
      output satisfies never
  }
}

/** Archives are written as files; for standard output by way of one. */
async function toDestination(dest: string, write: (path: string) => Promise<void>): Promise<void> {
  if (dest !== '-') {
    await mkdir(dirname(dest), { recursive: true })
    return await write(dest)
  }
  await using work = await mkdtempDisposable(join('/var/tmp', 'slipway-export-'))
  const path = join(work.path, 'archive')
  await write(path)
  await pipeline(createReadStream(path), process.stdout, { end: false })
}

/** `--iidfile` and `--metadata-file`. */
export async function writeReports(
  flags: Pick<BuildFlags, 'iidfile' | 'metadataFile'>,
  image: BuiltImage,
  names: readonly ImageReference[],
): Promise<void> {
  if (flags.iidfile) await writeFile(flags.iidfile, image.configDigest)
  if (!flags.metadataFile) return
  const report = {
    'containerimage.config.digest': image.configDigest,
    'containerimage.descriptor': {
      mediaType: image.manifestMediaType,
      digest: image.manifestDigest,
      size: image.manifest.length,
    },
    'containerimage.digest': image.manifestDigest,
    ...(names.length > 0 ? { 'image.name': names.map(formatImageReference).join(',') } : {}),
  }
  await writeFile(flags.metadataFile, `${JSON.stringify(report, null, 2)}\n`)
}
