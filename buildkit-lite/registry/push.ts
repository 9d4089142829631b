import type { Readable } from 'node:stream'
import { Digest } from '#domain/digest'
import type { ImageReference } from '#domain/image-reference'
import { retry } from '#host/retry'
import { backoffOf, type RegistryConnection } from './connection.ts'
import type { HttpResponse } from './http.ts'
import { describe, RegistryError, type Task } from './registry-error.ts'

export interface PushedBlob {
  digest: Digest
  sizeBytes: number
  /** Called again for each try. */
  open: () => Promise<Readable>
  /** A repository of the same registry that may have the blob. */
  mountFrom?: string
}

export function pushTask(reference: ImageReference, subject: string): Task {
  return { direction: 'push', registry: reference.registry, repository: reference.repository, subject }
}

function pushScopes(task: Task, mountFrom?: string): string[] {
  const own = `repository:${task.repository}:pull,push`
  return mountFrom === undefined ? [own] : [own, `repository:${mountFrom}:pull`]
}

/** Whether the repository has the blob. */
export async function hasBlob(connection: RegistryConnection, task: Task, signal: AbortSignal): Promise<boolean> {
  const request = {
    method: 'HEAD',
    target: `/v2/${task.repository}/blobs/${task.subject}`,
    task,
    scopes: pushScopes(task),
    okStatuses: [200, 404],
  } as const
  const response = await connection.requestAgain(request, signal)
  response.body.destroy()
  return response.status === 200
}

/** https://github.com/opencontainers/distribution-spec/blob/main/spec.md#post-then-put */
export async function pushBlob(
  connection: RegistryConnection,
  { task, blob }: { task: Task; blob: PushedBlob },
  signal: AbortSignal,
): Promise<void> {
  if (await hasBlob(connection, task, signal)) return
  await retry(() => upload(connection, { task, blob }, signal), backoffOf(task), signal)
}

async function upload(
  connection: RegistryConnection,
  { task, blob }: { task: Task; blob: PushedBlob },
  signal: AbortSignal,
): Promise<void> {
  const session = await openSession(connection, { task, blob }, signal)
  if (session === null) return
  session.searchParams.set('digest', blob.digest)
  const body = await blob.open()
  try {
    const response = await connection.request(
      {
        method: 'PUT',
        target: session,
        headers: { 'content-type': 'application/octet-stream', 'content-length': String(blob.sizeBytes) },
        body,
        task,
        scopes: pushScopes(task, blob.mountFrom),
        okStatuses: [201, 204],
      },
      signal,
    )
    response.body.destroy()
  } finally {
    body.destroy()
  }
}

/** Where to send the bytes; null where the registry could mount the blob from another repository of its own. */
async function openSession(
  connection: RegistryConnection,
  { task, blob }: { task: Task; blob: PushedBlob },
  signal: AbortSignal,
): Promise<URL | null> {
  const mount = blob.mountFrom === undefined ? '' : `?${mountQuery(blob.digest, blob.mountFrom)}`
  const response = await connection.request(
    {
      method: 'POST',
      target: `/v2/${task.repository}/blobs/uploads/${mount}`,
      headers: { 'content-length': '0' },
      task,
      scopes: pushScopes(task, blob.mountFrom),
      okStatuses: [201, 202],
    },
    signal,
  )
  response.body.destroy()
  return response.status === 201 ? null : locationOf(response, connection.endpointOf(task), task)
}

function mountQuery(digest: Digest, from: string): string {
  return new URLSearchParams({ mount: digest, from }).toString()
}

function locationOf(response: HttpResponse, endpoint: URL, task: Task): URL {
  const location = URL.parse(response.headers.location ?? '', endpoint)
  if (response.headers.location && location) return location
  throw new RegistryError('registry-unavailable', `${describe(task)} failed: the registry gave no place to upload to`)
}

/** Stores the manifest under the task's subject, a tag or its digest. */
export async function pushManifest(
  connection: RegistryConnection,
  { task, manifest }: { task: Task; manifest: { bytes: Buffer; mediaType: string; digest: Digest } },
  signal: AbortSignal,
): Promise<void> {
  const headers = { 'content-type': manifest.mediaType, 'content-length': String(manifest.bytes.length) }
  const target = `/v2/${task.repository}/manifests/${task.subject}`
  const scopes = pushScopes(task)
  const response = await connection.requestAgain(
    { method: 'PUT', target, headers, body: manifest.bytes, task, scopes, okStatuses: [200, 201] },
    signal,
  )
  response.body.destroy()
  const stored = Digest.safeParse(response.headers['docker-content-digest']).data
  if (stored === undefined || stored === manifest.digest) return
  const message = `${describe(task)} failed: the registry stored ${stored}, expected ${manifest.digest}`
  throw new RegistryError('registry-unavailable', message)
}
