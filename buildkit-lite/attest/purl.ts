import type { ImageReference } from '#domain/image-reference'
import type { Platform } from '../plan/plan.ts'
import { formatPlatform } from '../plan/platform.ts'

/** A package URL. https://github.com/package-url/purl-spec */
export interface PackageName {
  type: string
  namespace?: string
  name: string
  version?: string
  qualifiers?: Readonly<Record<string, string | undefined>>
}

export function packageUrl({ type, namespace = '', name, version, qualifiers = {} }: PackageName): string {
  const path = [...namespace.split('/').filter(Boolean), name].map(encode).join('/')
  const pairs = Object.entries(qualifiers).flatMap(([key, value]) => (value ? [`${key}=${encode(value)}`] : []))
  const query = pairs.length > 0 ? `?${pairs.toSorted().join('&')}` : ''
  return `pkg:${type}/${path}${version ? `@${encode(version)}` : ''}${query}`
}

/** An image as provenance names it: short as people write it, with the platform. */
export function imagePurl({ registry, repository, tag, digest }: ImageReference, platform: Platform): string {
  const path = registry === 'docker.io' ? repository.replace(/^library\//, '') : `${registry}/${repository}`
  const slash = path.lastIndexOf('/')
  const version = tag ?? (digest ? undefined : 'latest')
  return packageUrl({
    type: 'docker',
    namespace: path.slice(0, Math.max(0, slash)),
    name: path.slice(slash + 1),
    ...(version ? { version } : {}),
    qualifiers: { digest: digest ?? undefined, platform: formatPlatform(platform) },
  })
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`)
}
