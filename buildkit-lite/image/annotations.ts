import type { AnnotationPlace, ImageSettings } from '../contract.ts'
import type { Platform } from '../plan/plan.ts'
import { formatPlatform } from '../plan/platform.ts'

/** The annotations of one place; null asks for those of no platform. Those that name the platform win. */
export function annotationsAt(
  settings: Pick<ImageSettings, 'annotations'>,
  place: AnnotationPlace,
  platform: Platform | null,
): Record<string, string> {
  const here = settings.annotations.filter((one) => one.place === place)
  const general = here.filter((one) => one.platform === null)
  const special = here.filter(
    (one) => one.platform && platform && formatPlatform(one.platform) === formatPlatform(platform),
  )
  return Object.fromEntries([...general, ...special].map(({ name, value }) => [name, value]))
}
