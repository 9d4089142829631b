import type { Build } from '#domain/build'
import type { Delivery } from '#domain/delivery'
import type { Project, ProjectChange } from '#domain/project'
import type { Rollout } from '#domain/rollout'

export interface Page<T> {
  items: T[]
  next: string | null
}

/** An answer of the API that is no success, with the words the server found for it. */
export class ApiError extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** One call of the API with the session's cookie. The extra header is what a foreign page could not send. */
async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(path, {
    method,
    headers: {
      accept: 'application/json',
      'x-slipway': '1',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  if (!response.ok) throw new ApiError(response.status, await errorMessage(response))
  return (response.status === 204 ? undefined : await response.json()) as T
}

async function errorMessage(response: Response): Promise<string> {
  try {
    const { error } = (await response.json()) as { error: { message: string } }
    return error.message
  } catch {
    return `The server answered ${response.status}`
  }
}

export const api = {
  login: (token: string) => call<unknown>('POST', '/api/v1/session', { token }),
  logout: () => call<unknown>('DELETE', '/api/v1/session'),
  builds: () => call<Page<Build>>('GET', '/api/v1/builds'),
  buildsOf: (project: string) => call<Page<Build>>('GET', `/api/v1/projects/${project}/builds`),
  build: (id: string) => call<Build>('GET', `/api/v1/builds/${id}`),
  cancel: (id: string) => call<unknown>('POST', `/api/v1/builds/${id}/cancel`, {}),
  retry: (id: string) => call<Build>('POST', `/api/v1/builds/${id}/retry`, {}),
  buildNow: (project: string, ref: string) => call<Build>('POST', `/api/v1/projects/${project}/builds`, { ref }),
  projects: () => call<Page<Project>>('GET', '/api/v1/projects'),
  project: (name: string) => call<Project>('GET', `/api/v1/projects/${name}`),
  changeProject: (name: string, change: ProjectChange) => call<Project>('PATCH', `/api/v1/projects/${name}`, change),
  rollouts: () => call<Page<Rollout>>('GET', '/api/v1/rollouts'),
  deliveries: () => call<Page<Delivery>>('GET', '/api/v1/deliveries'),
  approve: (delivery: string, commit: string) =>
    call<Delivery>('POST', `/api/v1/deliveries/${delivery}/approve`, { commit }),
}
