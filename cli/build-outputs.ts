import { createReadStream } from 'node:fs'
import { lstat, mkdir, mkdtempDisposable, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import {
  type BuiltResult,
  exportResult,
  exportResultTar,
  fetchLayers,
  onlyImage,
  pushResult,
  writeDockerArchive,
  writeOciArchive,
  writeOciLayout,
  writeResult,
} from '#buildkit-lite'
import { formatImageReference, type ImageReference, parseImageReference } from '#domain/image-reference'
import { explainDiskFull } from '#host/disk-space'
import type { Engine } from './engine.ts'
import type { Progress, Tell } from './progress.ts'
import type { ImageOutput, Output, PushOptions } from './read-output.ts'

export interface SendContext {
  engine: Pick<Engine, 'tools' | 'registry' | 'registryWith'>
  progress: Pick<Progress, 'during'>
  /** What the user is told besides. */
  note: (text: string) => void
}

/** What reports say of a build: the result in the form in which it went out, and the names it has. */
export interface SentResult {
  result: BuiltResult
  names: readonly string[]
}

/** Names as users write them, spelled out. */
export function readNames(names: readonly string[]): ImageReference[] {
  return names.map((name) => parseImageReference(formatImageReference(parseImageReference(name))))
}

/** Sends the result to every output, in order; the last image that goes out is the one to be reported. */
export async function sendOutputs(
  outputs: readonly Output[],
  built: BuiltResult,
  context: SendContext,
  signal: AbortSignal,
): Promise<SentResult | null> {
  for (const note of built.notes) context.note(note)
  let sent: SentResult | null = null
  for (const output of outputs) {
    if (output.kind === 'local' || output.kind === 'tar') await sendFiles(output, built, context, signal)
    else if (output.kind !== 'cacheonly') sent = await sendImage(output, built, context, signal)
  }
  return sent
}

async function sendFiles(
  output: Extract<Output, { kind: 'local' | 'tar' }>,
  built: BuiltResult,
  { engine: { tools }, progress }: SendContext,
  signal: AbortSignal,
): Promise<void> {
  if (output.kind === 'local') {
    await progress.during('exporting to client directory', () => exportResult(built, output, tools, signal))
    return
  }
  await progress.during('exporting to client tarball', async () => {
    const write = (dest: string) => exportResultTar(built, { ...output, dest }, tools, signal)
    await toDestination(output.dest, write, signal)
  })
}

async function sendImage(
  output: ImageOutput,
  built: BuiltResult,
  context: SendContext,
  signal: AbortSignal,
): Promise<SentResult> {
  const { engine, progress, note } = context
  const references = readNames(output.names)
  const names = references.map(formatImageReference)
  const format = output.kind === 'image' ? 'image' : `${output.kind} image format`
  return await progress.during(`exporting to ${format}`, async (tell) => {
    await tell('exporting layers')
    const result = await writeResult(built.graphs, { settings: output.settings, names }, engine.tools, signal)
    for (const text of result.notes) if (!built.notes.includes(text)) note(text)
    for (const line of contentsOf(result)) await tell(line)
    if (output.kind !== 'image') {
      await sendArchive(output, { result, references }, engine, signal)
      return { result, names }
    }
    if (output.push) return await push(result, { references, push: output.push, tell }, engine, signal)
    note('the image stays in the builder’s cache: add push=true, or type=oci or docker with dest=FILE, to take it out')
    return { result, names }
  })
}

/** What was written, as other builders tell it. */
function contentsOf({ images, attestations, isIndex, digest }: BuiltResult): string[] {
  return [
    ...images.flatMap(({ image }) => [
      `exporting manifest ${image.manifestDigest}`,
      `exporting config ${image.configDigest}`,
    ]),
    ...attestations.map((one) => `exporting attestation manifest ${one.digest}`),
    ...(isIndex ? [`exporting manifest list ${digest}`] : []),
  ]
}

interface PushJob {
  references: readonly ImageReference[]
  push: PushOptions
  tell: Tell
}

async function push(
  result: BuiltResult,
  { references, push: { byDigestOnly, isCanonical, isInsecure }, tell }: PushJob,
  engine: SendContext['engine'],
  signal: AbortSignal,
): Promise<SentResult> {
  const registry = isInsecure ? await engine.registryWith(references.map((one) => one.registry)) : engine.registry
  const names = references.map(formatImageReference)
  const canonical = references.map((one) => formatImageReference({ ...one, tag: null, digest: result.digest }))
  await tell('pushing layers')
  await pushResult(result, { names: references, byDigestOnly }, registry, signal)
  for (const name of byDigestOnly ? canonical : names.map((one) => `${one}@${result.digest}`))
    await tell(`pushing manifest for ${name}`)
  return { result, names: byDigestOnly ? canonical : [...names, ...(isCanonical ? canonical : [])] }
}

async function sendArchive(
  output: Extract<ImageOutput, { kind: 'oci' | 'docker' }>,
  { result, references: names }: { result: BuiltResult; references: readonly ImageReference[] },
  { tools }: SendContext['engine'],
  signal: AbortSignal,
): Promise<void> {
  const { kind, dest, isTar } = output
  if (kind === 'docker') onlyImage(result)
  for (const { image } of result.images) await fetchLayers(image, tools, signal)
  if (!isTar) return await writeOciLayout({ image: result, names, path: dest }, tools.blobs, signal)
  const write = kind === 'oci' ? writeOciArchive : writeDockerArchive
  await toDestination(dest, (path) => write({ image: result, names, path }, tools.blobs, signal), signal)
}

/** Archives are written as files, which appear when they are complete; for standard output by way of one. */
async function toDestination(dest: string, write: (path: string) => Promise<void>, signal: AbortSignal): Promise<void> {
  if (dest !== '-') return await toFile(dest, write)
  await using work = await mkdtempDisposable(join('/var/tmp', 'slipway-export-'))
  const path = join(work.path, 'archive')
  await write(path)
  await pipeline(createReadStream(path), process.stdout, { end: false, signal })
}

async function toFile(dest: string, write: (path: string) => Promise<void>): Promise<void> {
  await mkdir(dirname(dest), { recursive: true })
  // What is no plain file, such as a pipe or a link, is not to be replaced by one.
  const before = await lstat(dest).catch(() => null)
  if (before && !before.isFile()) return await write(dest)
  const temporary = `${dest}.slip-${process.pid}`
  try {
    await write(temporary)
    await rename(temporary, dest)
  } catch (error) {
    await rm(temporary, { force: true })
    throw await explainDiskFull(error, dirname(dest))
  }
}
