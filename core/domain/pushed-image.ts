import { messageOf } from './errors.ts'
import { parseImageReference } from './image-reference.ts'

/** An image that somebody pushed to a registry, as the registry told it. */
export interface PushedImage {
  /** The registry's id of the event; null where it gives none. */
  eventId: string | null
  /** Null where the registry does not say its public name. */
  registry: string | null
  repository: string
  tag: string
}

/** `ghcr.io/acme/base:latest`. */
export function imageText({ registry, repository, tag }: PushedImage): string {
  return `${registry === null ? '' : `${registry}/`}${repository}:${tag}`
}

/** Whether a pushed image is one of those named; a name without a tag means every tag. */
export function isNamedImage(names: readonly string[], image: PushedImage): boolean {
  return names.some((name) => {
    const named = parseImageReference(name)
    if (named.repository !== image.repository) return false
    if (image.registry !== null && named.registry !== image.registry) return false
    return named.tag === null || named.tag === image.tag
  })
}

/** What is wrong with an image's name; null where nothing is. */
export function findImageMistake(name: string): string | null {
  try {
    parseImageReference(name)
    return null
  } catch (error) {
    return messageOf(error)
  }
}
