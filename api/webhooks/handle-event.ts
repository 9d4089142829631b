import { z } from 'zod'
import type { Project } from '#domain/project'
import { isPathOf, repositoryKey } from '#domain/repository-url'
import type { ApiDeps } from '../deps.ts'
import { handleImages } from './handle-images.ts'
import { handleOnce } from './handle-once.ts'
import { handlePullRequest } from './handle-pull-request.ts'
import { handlePushes } from './handle-pushes.ts'
import type { HookEvent } from './provider.ts'
import { readPayload } from './read-payload.ts'
import { ignoredFor, type Judged, refused, type TrustedHook, without } from './trusted-hook.ts'

/** Acts on a request that is known to come from the provider. */
export async function handleEvent(deps: ApiDeps, hook: TrustedHook): Promise<Judged> {
  const payload = readPayload(hook.body, hook.headers['content-type'], hook.provider)
  if (!payload.ok) return refused(payload.status, payload.reason)
  const event = readEvent(hook, payload.value)
  if (typeof event === 'string') return refused(400, event)
  if (event.kind === 'answered') return without({ kind: 'answered', reason: event.reason })
  if (event.kind === 'ignored') return ignoredFor(event.reason)
  const project = await deps.store.projects.get(hook.project)
  if (!project) return refused(404, 'there is no such project')
  if (!namesRepositoryOf(project, event)) return refused(422, `the event is of another repository than this project's`)
  return handleOnce(deps, hook, async (key) => {
    switch (event.kind) {
      case 'pushes':
        return handlePushes(deps.store, project, event.pushes, key)
      case 'pull-request':
        return handlePullRequest(deps, project, event.pullRequest, { key, occasion: hook.occasion.kind })
      case 'images':
        return handleImages(deps, project, event.images, key)
      default:
        return event satisfies never
    }
  })
}

function readEvent(hook: TrustedHook, payload: unknown): HookEvent | string {
  try {
    return hook.provider.read(hook.provider.event(hook.headers), payload)
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error
    const issues = error.issues.slice(0, 5).map(({ path, message }) => `${path.join('.') || 'payload'}: ${message}`)
    return `the payload is not what ${hook.provider.name} sends: ${issues.join('; ')}`
  }
}

function namesRepositoryOf(project: Project, event: HookEvent): boolean {
  if (project.repository === null || !('repository' in event) || event.repository === 'unnamed') return true
  const { urls, path } = event.repository
  const key = repositoryKey(project.repository)
  return urls.length > 0 ? urls.some((url) => repositoryKey(url) === key) : isPathOf(project.repository, path ?? '')
}
