import type { IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'
import type { Build } from '#domain/build'
import type { Ignored } from '#domain/delivery'
import { SlipwayError } from '#domain/errors'
import type { DeliveryId, ProjectName } from '#domain/ids'
import type { Project } from '#domain/project'
import { readRef, type SourceRef } from '#domain/push'
import { compilePattern } from '#domain/rule-pattern'
import { requestBuilds } from '../builds/request-builds.ts'
import { resolveRef } from '../builds/resolve-ref.ts'
import type { ApiDeps } from '../deps.ts'
import { handleImages } from './handle-images.ts'
import { findDockerHubImages, isDockerHubPush } from './image-events.ts'
import { ignoredFor, type Judged, refused, without } from './trusted-hook.ts'

/** What Docker Hub's build triggers take. */
export const TriggerOrder = z.object({
  build: z.union([z.boolean(), z.stringbool()]).optional().describe('Build everything that a rule names exactly'),
  docker_tag: z.string().min(1).max(128).optional().describe('Build by the rules that set this tag'),
  source_type: z
    .string()
    .transform((text) => text.toLowerCase())
    .pipe(z.enum(['branch', 'tag']))
    .optional()
    .describe('Branch or Tag'),
  source_name: z.string().min(1).max(1000).optional().describe('Build this branch or tag'),
})
type TriggerOrder = z.infer<typeof TriggerOrder>

export interface TriggerCall {
  project: ProjectName
  headers: IncomingHttpHeaders
  body: Buffer
  delivery: DeliveryId
}

/** Acts on a trigger whose token is known to be good. Only what an enabled rule names is built. */
export async function handleTrigger(deps: ApiDeps, call: TriggerCall): Promise<Judged> {
  const project = await deps.store.projects.get(call.project)
  if (!project) return refused(404, 'there is no such project')
  const value = readBody(call)
  if (isDockerHubPush(value)) return handleHubPush(deps, project, value, call.delivery)
  const order = TriggerOrder.safeParse(value)
  if (!order.success)
    return refused(400, `the body asks for nothing that a trigger knows: ${z.prettifyError(order.error)}`)
  const { source_type, source_name, build, docker_tag } = order.data
  if (build === undefined && docker_tag === undefined && source_type === undefined && source_name === undefined)
    return refused(400, 'the body has none of build, docker_tag, and source_type with source_name')
  if ((source_type === undefined) !== (source_name === undefined))
    return refused(400, 'source_type and source_name are given together, or not at all')
  if (build === false) return ignoredFor('the body says "build": false')
  return buildTargets(deps, project, order.data, call.delivery)
}

async function buildTargets(
  deps: ApiDeps,
  project: Project,
  order: TriggerOrder,
  delivery: DeliveryId,
): Promise<Judged> {
  const { targets, ignored } = targetsOf(project, order)
  const builds: Build[] = []
  for (const source of targets) {
    const ref = `refs/${source.source === 'tag' ? 'tags' : 'heads'}/${source.name}`
    try {
      const { commit, author } = await resolveRef(deps.config.dataDir, project, ref)
      const facts = { project, ref, source, commit, message: null, author, changedPaths: null }
      const leaveOut = ({ tags }: { tags: string[] }) => missesTag(tags, order)
      const key = `${delivery} ${ref}`
      const made = await requestBuilds(deps.store, { ...facts, key, trigger: 'trigger-url', leaveOut })
      builds.push(...made.builds)
      // Of several targets each rule speaks only of its own.
      ignored.push(...made.ignored.filter(({ rule }) => targets.length === 1 || speaksOf(project, rule, source)))
    } catch (error) {
      if (!(error instanceof SlipwayError)) throw error
      if (error.kind === 'source-unavailable') return refused(502, error.message)
      if (error.kind !== 'not-found' && error.kind !== 'invalid') throw error
      ignored.push({ rule: null, reason: error.message })
    }
  }
  if (builds.length === 0) return without({ kind: 'ignored', reason: 'no rule asks for a build', ignored })
  return { verdict: { kind: 'accepted', builds: builds.map(({ id }) => id), ignored }, builds }
}

/** The branch or tag that the order names, or all that enabled rules name exactly. */
function targetsOf(project: Project, order: TriggerOrder): { targets: SourceRef[]; ignored: Ignored[] } {
  const { source_type: source, source_name: name } = order
  if (source && name) return { targets: [{ source, name: shortName(name) }], ignored: [] }
  const ignored: Ignored[] = []
  const targets = new Map<string, SourceRef>()
  for (const [rule, { source: kind, pattern, autobuild }] of project.rules.entries()) {
    const compiled = compilePattern(pattern)
    const isExact = typeof compiled !== 'string' && compiled.isExact
    if (kind === 'pull-request') ignored.push({ rule, reason: 'the rule is for pull requests' })
    else if (!autobuild) ignored.push({ rule, reason: 'autobuild is off' })
    else if (!isExact)
      ignored.push({ rule, reason: `${pattern} names no one ${kind}: give source_type and source_name` })
    else targets.set(`${kind} ${pattern}`, { source: kind, name: pattern })
  }
  return { targets: [...targets.values()], ignored }
}

function speaksOf(project: Project, rule: number | null, source: SourceRef): boolean {
  const one = rule === null ? undefined : project.rules[rule]
  return one?.source === source.source && one.pattern === source.name
}

function missesTag(tags: readonly string[], { docker_tag }: TriggerOrder): string | null {
  return docker_tag === undefined || tags.includes(docker_tag) ? null : `the rule does not set the tag ${docker_tag}`
}

const shortName = (name: string) => readRef(name)?.name ?? name

async function handleHubPush(deps: ApiDeps, project: Project, value: unknown, key: string): Promise<Judged> {
  const images = findDockerHubImages(value)
  if (typeof images === 'string') return refused(400, images)
  return handleImages(deps, project, images, key)
}

/** JSON, a form, or nothing at all: whatever scripts have sent to Docker Hub. */
function readBody({ headers, body }: TriggerCall): unknown {
  const text = body.toString('utf8').trim()
  if (text === '') return { build: true }
  try {
    return JSON.parse(text)
  } catch {
    const isForm = headers['content-type']?.toLowerCase().startsWith('application/x-www-form-urlencoded')
    return isForm ? Object.fromEntries(new URLSearchParams(text)) : null
  }
}
