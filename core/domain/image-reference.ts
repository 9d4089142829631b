import { z } from 'zod'
import { Digest } from './digest.ts'
import { SlipwayError } from './errors.ts'

/** https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests */
export const Tag = z
  .string()
  .regex(
    /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/,
    'a tag is 1 to 128 of letters, digits, _ . - and starts with none of . -',
  )
  .brand<'Tag'>()
export type Tag = z.infer<typeof Tag>

/** Where an image is: a registry's host[:port], a repository path in it, and a tag or a digest. */
export interface ImageReference {
  registry: string
  repository: string
  tag: Tag | null
  digest: Digest | null
}

const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/
const REGISTRY = /^(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::\d{1,5})?$/
const DOCKER_HUB = 'docker.io'

/**
 * Reads `debian`, `debian:12`, `ghcr.io/a/b@sha256:…`. A first part with a dot, a colon or `localhost` is a registry;
 * what has none is on Docker Hub, as `docker pull` reads it.
 */
export function parseImageReference(text: string): ImageReference {
  const invalid = (why: string): never => {
    throw new SlipwayError('invalid', `"${text}" is not an image reference: ${why}`)
  }
  const at = text.indexOf('@')
  const named = at < 0 ? text : text.slice(0, at)
  const digest = at < 0 ? null : (Digest.safeParse(text.slice(at + 1)).data ?? invalid('bad digest'))
  const colon = named.lastIndexOf(':')
  const hasTag = colon > named.lastIndexOf('/')
  const tag = hasTag ? (Tag.safeParse(named.slice(colon + 1)).data ?? invalid('bad tag')) : null
  const { registry, path } = splitRegistry(hasTag ? named.slice(0, colon) : named)
  if (!REGISTRY.test(registry)) invalid('bad registry')
  const repository = registry === DOCKER_HUB && !path.includes('/') ? `library/${path}` : path
  if (repository.length > 255 || !REPOSITORY.test(repository)) invalid('a repository is lower-case path parts')
  return { registry, repository, tag, digest }
}

/** Whether the text names its registry itself, so that no search order applies. */
export function namesRegistry(text: string): boolean {
  const first = text.split('/', 1)[0] ?? ''
  return text.includes('/') && (first.includes('.') || first.includes(':') || first === 'localhost')
}

/** The reference with everything spelled out; `latest` where neither tag nor digest was given. */
export function formatImageReference(reference: ImageReference): string {
  const tag = reference.tag ?? (reference.digest ? null : 'latest')
  const name = `${reference.registry}/${reference.repository}`
  return `${name}${tag ? `:${tag}` : ''}${reference.digest ? `@${reference.digest}` : ''}`
}

/** Registries on loopback may be plain HTTP. */
export function isLoopbackRegistry(registry: string): boolean {
  const host = registry.replace(/:\d+$/, '')
  return host === 'localhost' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host)
}

function splitRegistry(name: string): { registry: string; path: string } {
  if (!namesRegistry(name)) return { registry: DOCKER_HUB, path: name }
  const slash = name.indexOf('/')
  const registry = name.slice(0, slash)
  return { registry: registry === 'index.docker.io' ? DOCKER_HUB : registry, path: name.slice(slash + 1) }
}
