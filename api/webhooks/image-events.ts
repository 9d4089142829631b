import { z } from 'zod'
import { messageOf } from '#domain/errors'
import { parseImageReference } from '#domain/image-reference'
import type { PushedImage } from '#domain/pushed-image'
import type { HookEvent } from './provider.ts'

// https://distribution.github.io/distribution/about/notifications/
const RegistryEvent = z.object({
  id: z.string().min(1).max(200),
  action: z.string(),
  target: z
    .object({
      mediaType: z.string().nullish(),
      repository: z.string().max(512).nullish(),
      tag: z.string().max(128).nullish(),
    })
    .nullish(),
})
const Envelope = z.object({ events: z.array(RegistryEvent).max(10_000) })

/** Layers are pushed too; only these make an image. */
const IMAGE_TYPES =
  /^application\/vnd\.(?:docker\.distribution\.manifest\.(?:v1\+json|v1\+prettyjws|v2\+json|list\.v2\+json)|oci\.image\.(?:manifest|index)\.v1\+json)$/

/** A registry's notification: the host in it is whatever the client called the registry, so it is not believed. */
export function readRegistryEvents(payload: unknown): HookEvent {
  const images = Envelope.parse(payload).events.flatMap(({ id, action, target }): PushedImage[] => {
    if (action !== 'push' || !target?.repository || !target.tag) return []
    if (!IMAGE_TYPES.test(target.mediaType ?? '')) return []
    return [{ eventId: id, registry: null, repository: target.repository, tag: target.tag }]
  })
  return images.length > 0
    ? { kind: 'images', images }
    : { kind: 'ignored', reason: 'no event in it is a push of a tagged image' }
}

// https://docs.docker.com/docker-hub/repos/manage/webhooks/#example-webhook-payload
const DockerHubPush = z.object({
  push_data: z.object({ tag: z.string().min(1).max(128) }),
  repository: z.object({ repo_name: z.string().min(1).max(512) }),
})

/** Whether the payload is the webhook that Docker Hub sends after a push; it has no header that says so. */
export function isDockerHubPush(payload: unknown): boolean {
  return typeof payload === 'object' && payload !== null && 'push_data' in payload
}

export function readDockerHubPush(payload: unknown): HookEvent {
  const { push_data, repository } = DockerHubPush.parse(payload)
  return readNamed(`docker.io/${repository.repo_name}:${push_data.tag}`)
}

/** The same without an error: what is wrong with the payload, in words. */
export function findDockerHubImages(payload: unknown): PushedImage[] | string {
  const parsed = DockerHubPush.safeParse(payload)
  if (!parsed.success) return `the payload is not what Docker Hub sends: ${z.prettifyError(parsed.error)}`
  const event = readDockerHubPush(parsed.data)
  return event.kind === 'images' ? event.images : `the payload of Docker Hub names no image`
}

// https://docs.github.com/en/webhooks/webhook-events-and-payloads#registry_package
const Package = z.object({
  package_type: z.string().nullish(),
  package_version: z
    .object({
      package_url: z.string().max(1024).nullish(),
      container_metadata: z.object({ tag: z.object({ name: z.string().nullish() }).nullish() }).nullish(),
    })
    .nullish(),
})
const PackageEvent = z.object({ registry_package: Package.nullish(), package: Package.nullish() })

/** An image pushed to GitHub's container registry. */
export function readPackage(payload: unknown): HookEvent {
  const event = PackageEvent.parse(payload)
  const { package_type, package_version } = event.registry_package ?? event.package ?? {}
  if (package_type?.toLowerCase() !== 'container') return { kind: 'ignored', reason: 'the package is no image' }
  const tag = package_version?.container_metadata?.tag?.name
  const url = package_version?.package_url?.replace(/:$/, '')
  if (!tag || !url) return { kind: 'ignored', reason: 'the image was pushed without a tag' }
  return readNamed(url.endsWith(`:${tag}`) ? url : `${url}:${tag}`)
}

function readNamed(name: string): HookEvent {
  try {
    const { registry, repository, tag } = parseImageReference(name)
    if (tag === null) return { kind: 'ignored', reason: 'the image was pushed without a tag' }
    return { kind: 'images', images: [{ eventId: null, registry, repository, tag }] }
  } catch (error) {
    return { kind: 'ignored', reason: messageOf(error) }
  }
}
