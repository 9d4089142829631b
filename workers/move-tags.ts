import { type BuiltImage, pushTag, type Registry } from '#buildkit-lite'
import type { Build } from '#domain/build'
import { type ImageReference, Tag } from '#domain/image-reference'
import type { TagMoves } from '#store/contract'

export interface PushedImage {
  image: BuiltImage
  /** Without tag and digest. */
  to: ImageReference
  registry: Registry
}

/** Points tags at the pushed image, but for those that a newer build has; returns the ones that moved. */
export async function moveTags(
  { image, to, registry }: PushedImage,
  build: Build,
  tags: TagMoves,
  signal: AbortSignal,
): Promise<string[]> {
  const moved: string[] = []
  for (const tag of new Set(build.tags)) {
    const reference = { ...to, tag: Tag.parse(tag) }
    const hasMoved = await tags.move(build.project, tag, build.number, () =>
      pushTag(image, reference, registry, signal),
    )
    if (hasMoved) moved.push(tag)
  }
  return moved
}
