import { createHash } from 'node:crypto'
import { z } from 'zod'
import { type Descriptor, Digest } from '#domain/digest'
import { formatImageReference, type ImageReference } from '#domain/image-reference'
import { ImageConfig } from '../image/config.ts'
import type { Platform } from '../plan/plan.ts'
import type { RegistryConnection } from './connection.ts'
import type { PulledManifest } from './contract.ts'
import { readBody } from './http.ts'
import { ACCEPTED, Index, isIndexType, isManifestType, Manifest } from './manifest.ts'
import { formatPlatform, selectManifest } from './platform.ts'
import { describe, RegistryError, type Task } from './registry-error.ts'

const MAX_MANIFEST_BYTES = 4 * 1024 * 1024
const MAX_CONFIG_BYTES = 8 * 1024 * 1024
/** An index of indexes of manifests is as deep as we look. */
const MAX_DEPTH = 3

interface Document {
  digest: Digest
  mediaType: string
  bytes: Buffer
}

/** Gets the manifest of one platform and its config. Every byte is checked against a digest. */
export async function fetchImage(
  connection: RegistryConnection,
  reference: ImageReference,
  platform: Platform,
  signal: AbortSignal,
): Promise<PulledManifest> {
  const task = pullTask(reference, reference.digest ?? reference.tag ?? 'latest')
  const document = await findManifest(connection, { reference, platform, task }, signal)
  const manifest = parseAs(Manifest, document.bytes, { task, what: 'manifest' })
  const configBytes = await fetchDocument(connection, { task, descriptor: manifest.config }, signal)
  const config = parseAs(ImageConfig, configBytes, { task, what: 'image config' })
  const diffIds = config.rootfs.diff_ids?.length ?? 0
  if (diffIds !== manifest.layers.length) {
    throw broken(task, `its config names ${diffIds} layers, expected the manifest's ${manifest.layers.length}`)
  }
  const { layers } = manifest
  const spelled = { ...reference, tag: reference.tag ?? (reference.digest ? null : LATEST) }
  return { reference: spelled, ...document, layers, config, configDigest: manifest.config.digest }
}

const LATEST = 'latest' as NonNullable<ImageReference['tag']>

export function pullTask(reference: ImageReference, subject: string): Task {
  return { direction: 'pull', registry: reference.registry, repository: reference.repository, subject }
}

export function pullScopes({ repository }: { repository: string }): string[] {
  return [`repository:${repository}:pull`]
}

async function findManifest(
  connection: RegistryConnection,
  wanted: { reference: ImageReference; platform: Platform; task: Task },
  signal: AbortSignal,
): Promise<Document> {
  const { reference, platform, task } = wanted
  let expected = reference.digest
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const subject = expected ?? reference.tag ?? 'latest'
    const document = await fetchManifestDocument(connection, { task, subject, expected }, signal)
    if (isManifestType(document.mediaType)) return document
    const { manifests } = parseAs(Index, document.bytes, { task, what: 'image index' })
    const chosen = selectManifest(manifests, platform)
    if (!chosen) {
      const offered = manifests.flatMap((one) => (one.platform ? [formatPlatform(one.platform)] : [])).join(', ')
      throw new RegistryError(
        'pull-not-found',
        `${formatImageReference(reference)} has no image for ${formatPlatform(platform)}, only for ${offered || 'none'}`,
      )
    }
    expected = chosen.digest
  }
  throw broken(task, `it is an index of indexes more than ${MAX_DEPTH} deep`)
}

/** A manifest or an index, checked against its digest where that is known. */
export async function fetchManifestDocument(
  connection: RegistryConnection,
  { task, subject, expected }: { task: Task; subject: string; expected: Digest | null },
  signal: AbortSignal,
): Promise<Document> {
  const response = await connection.requestAgain(
    {
      method: 'GET',
      target: `/v2/${task.repository}/manifests/${subject}`,
      headers: { accept: ACCEPTED },
      task,
      scopes: pullScopes(task),
      okStatuses: [200],
    },
    signal,
  )
  const bytes = await readBody(response, MAX_MANIFEST_BYTES)
  if (bytes === null) throw broken(task, `its manifest has more than ${MAX_MANIFEST_BYTES} bytes`)
  const digest = digestOf(bytes)
  const stated = expected ?? Digest.safeParse(response.headers['docker-content-digest']).data
  if (stated && stated !== digest) throw broken(task, `its manifest has the digest ${digest}, expected ${stated}`)
  const mediaType = mediaTypeOf(bytes, response.headers['content-type'])
  if (isManifestType(mediaType) || isIndexType(mediaType)) return { digest, mediaType, bytes }
  throw broken(task, `its manifest has the media type ${mediaType}, expected one of OCI or of Docker's schema 2`)
}

/** Small content-addressed JSON: the image config. */
async function fetchDocument(
  connection: RegistryConnection,
  { task, descriptor }: { task: Task; descriptor: Descriptor },
  signal: AbortSignal,
): Promise<Buffer> {
  const target = `/v2/${task.repository}/blobs/${descriptor.digest}`
  const request = { method: 'GET', target, task, scopes: pullScopes(task), okStatuses: [200] } as const
  const response = await connection.requestAgain(request, signal)
  const bytes = await readBody(response, MAX_CONFIG_BYTES)
  if (bytes === null) throw broken(task, `its config has more than ${MAX_CONFIG_BYTES} bytes`)
  const digest = digestOf(bytes)
  if (digest !== descriptor.digest)
    throw broken(task, `its config has the digest ${digest}, expected ${descriptor.digest}`)
  return bytes
}

/** What the document says of itself counts; some registries serve everything as the same type. */
function mediaTypeOf(bytes: Buffer, contentType: string | undefined): string {
  const stated = z.object({ mediaType: z.string() }).safeParse(parseJson(bytes)).data?.mediaType
  return stated ?? contentType?.split(';', 1)[0]?.trim() ?? ''
}

function parseAs<Schema extends z.ZodType>(
  schema: Schema,
  bytes: Buffer,
  { task, what }: { task: Task; what: string },
): z.infer<Schema> {
  const parsed = schema.safeParse(parseJson(bytes))
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw broken(task, `its ${what} is wrong: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`)
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}

export function digestOf(bytes: Buffer): Digest {
  return Digest.parse(`sha256:${createHash('sha256').update(bytes).digest('hex')}`)
}

function broken(task: Task, why: string): RegistryError {
  return new RegistryError('registry-unavailable', `${describe(task)} failed: ${why}`)
}
