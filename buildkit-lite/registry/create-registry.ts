import { SlipwayError } from '#domain/errors'
import { type ImageReference, namesRegistry, parseImageReference } from '#domain/image-reference'
import type { Platform } from '../plan/plan.ts'
import { allowed } from './block-list.ts'
import { RegistryConnection } from './connection.ts'
import type { PulledManifest, Registry, RegistryOptions } from './contract.ts'
import { fetchBlob } from './fetch-blob.ts'
import { fetchImage, fetchManifestDocument, pullTask } from './fetch-manifest.ts'
import { createHttp } from './http.ts'
import { viaMirrors } from './mirrors.ts'
import { hasBlob, pushBlob, pushManifest, pushTask } from './push.ts'
import { RegistryError } from './registry-error.ts'

/** A client of the registries that the options allow for. It keeps tokens and idle connections, nothing to release. */
export function createRegistry(options: RegistryOptions): Registry {
  const connection = new RegistryConnection({ ...options, send: createHttp() })
  const pushing = (to: ImageReference, subject: string) => allowed(pushTask(to, subject), options)
  return {
    resolve: (name, platform, signal) => resolve(connection, { name, platform, options }, signal),
    fetchManifest: async (from, signal) => {
      const subject = from.digest ?? from.tag ?? 'latest'
      allowed(pullTask(from, subject), options)
      return await viaMirrors(from, options.mirrors, (place) => {
        const wanted = { task: pullTask(place, subject), subject, expected: from.digest }
        return fetchManifestDocument(connection, wanted, signal)
      })
    },
    openBlob: async (from, descriptor, signal) => {
      allowed(pullTask(from, descriptor.digest), options)
      return await viaMirrors(from, options.mirrors, (place) =>
        fetchBlob(connection, { task: pullTask(place, descriptor.digest), descriptor }, signal),
      )
    },
    hasBlob: async (to, digest, signal) => await hasBlob(connection, pushing(to, digest), signal),
    pushBlob: async (to, blob, signal) => await pushBlob(connection, { task: pushing(to, blob.digest), blob }, signal),
    pushManifest: async (to, manifest, signal) => {
      const task = pushing(to, to.tag ?? to.digest ?? manifest.digest)
      await pushManifest(connection, { task, manifest }, signal)
    },
  }
}

interface Wanted {
  name: string
  platform: Platform
  options: RegistryOptions
}

/** Tries the registries that the name may mean; one that has nothing of the name, or is down, passes it on. */
async function resolve(
  connection: RegistryConnection,
  { name, platform, options }: Wanted,
  signal: AbortSignal,
): Promise<PulledManifest> {
  const candidates = candidatesOf(name, options.searchOrder)
  const failures: RegistryError[] = []
  for (const candidate of candidates) {
    try {
      allowed(pullTask(candidate, candidate.digest ?? candidate.tag ?? 'latest'), options)
      const fetch = (place: ImageReference) => fetchImage(connection, place, platform, signal)
      const pulled = await viaMirrors(candidate, options.mirrors, fetch)
      const { registry, repository } = candidate
      return { ...pulled, reference: { ...pulled.reference, registry, repository } }
    } catch (error) {
      if (!(error instanceof RegistryError) || !passesOn(error)) throw error
      failures.push(error)
    }
  }
  throw merge(name, failures)
}

/** A refusal is final: the image may well be there, and another registry's would be a different one. */
function passesOn(error: RegistryError): boolean {
  return error.kind === 'pull-not-found' || (error.status === null && error.isPassing)
}

function candidatesOf(name: string, searchOrder: readonly string[]): ImageReference[] {
  const reference = parseImageReference(name)
  if (namesRegistry(name) || searchOrder.length === 0) return [reference]
  return searchOrder.map((registry) => ({ ...reference, registry }))
}

/** What went wrong most: an unreachable registry may have had the image. */
function merge(name: string, failures: readonly RegistryError[]): SlipwayError {
  const [first] = failures
  if (failures.length === 1 && first) return first
  const worst = failures.find((failure) => failure.kind === 'registry-unavailable') ?? first
  const said = failures.map((failure) => failure.message).join('; ')
  return new SlipwayError(worst?.kind ?? 'pull-not-found', `${name} was found nowhere: ${said}`, { cause: worst })
}
