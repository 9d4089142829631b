import type { Build } from '#domain/build'
import type { Ignored } from '#domain/delivery'
import type { Project } from '#domain/project'
import { readRef } from '#domain/push'
import { imageText, isNamedImage, type PushedImage } from '#domain/pushed-image'
import { requestBuilds } from '../builds/request-builds.ts'
import type { ApiDeps } from '../deps.ts'
import { ignoredFor, type Judged } from './trusted-hook.ts'

/** Builds that are looked through for the newest one of each rule. */
const LOOK_BACK = 200

/** Builds once more what each rule built last, where the project asks for that when this image is pushed. */
export async function handleImages(
  deps: ApiDeps,
  project: Project,
  images: readonly PushedImage[],
  key: string,
): Promise<Judged> {
  const own = (image: PushedImage) =>
    image.repository === project.name && (image.registry ?? deps.config.registryHost) === deps.config.registryHost
  const wanted = images.filter((image) => !own(image) && isNamedImage(project.rebuildOn, image))
  if (wanted.length === 0) {
    const names = [...new Set(images.map(imageText))]
    return ignoredFor(
      `${names.slice(0, 5).join(', ')}: none of the images whose push rebuilds this project (rebuildOn)`,
    )
  }
  // The ids of events stay when a registry sends them again in another envelope.
  const ids = wanted.flatMap(({ eventId }) => (eventId === null ? [] : [eventId]))
  const { builds, ignored } = await rebuildNewest(deps, project, ids.length > 0 ? ids.sort().join(' ') : key)
  if (builds.length === 0)
    return { verdict: { kind: 'ignored', reason: 'nothing that a rule asks for was built before', ignored }, builds }
  return { verdict: { kind: 'accepted', builds: builds.map(({ id }) => id), ignored }, builds }
}

async function rebuildNewest(
  { store }: ApiDeps,
  project: Project,
  key: string,
): Promise<{ builds: Build[]; ignored: Ignored[] }> {
  const { items } = await store.builds.list({ project: project.name }, null, LOOK_BACK)
  const builds: Build[] = []
  const ignored: Ignored[] = []
  for (const [index, rule] of project.rules.entries()) {
    const last = items.find((build) => build.rule === index && build.status === 'succeeded' && build.push)
    const source = last ? readRef(last.ref) : null
    if (!last || !source || !rule.autobuild) {
      ignored.push({ rule: index, reason: rule.autobuild ? 'nothing was built by it yet' : 'autobuild is off' })
      continue
    }
    const { ref, commit, author } = last
    const leaveOut = (outcome: { rule: number }) => (outcome.rule === index ? null : 'another rule')
    const facts = { project, ref, source, commit, message: null, author, changedPaths: null }
    const made = await requestBuilds(store, { ...facts, key: `image ${key}`, trigger: 'base-image', leaveOut })
    builds.push(...made.builds)
    ignored.push(...made.ignored.filter((one) => one.rule === index))
  }
  return { builds, ignored }
}
