import type { IncomingHttpHeaders } from 'node:http'
import type { Provider } from '#domain/delivery'
import type { PullRequest } from '#domain/pull-request'
import type { Push } from '#domain/push'
import type { PushedImage } from '#domain/pushed-image'
import type { ProjectSecrets } from '#store/contract'

export interface ReadPush {
  push: Push
  /** Paths that the push changed; null where the provider does not list all of them. */
  changedPaths: string[] | null
  /** Why nobody wants a build of it, as a push option may say. */
  skip?: string
}

/** How an event names its repository: a project builds only what is of its own. */
interface NamedRepository {
  urls: string[]
  /** `PROJECT/NAME` where the provider may leave out every URL. */
  path?: string
}

/** What a provider's request comes down to. */
export type HookEvent =
  | { kind: 'answered'; reason: string }
  | { kind: 'ignored'; reason: string }
  | { kind: 'pushes'; pushes: ReadPush[]; repository: NamedRepository | 'unnamed' }
  | { kind: 'pull-request'; pullRequest: PullRequest; repository: NamedRepository }
  | { kind: 'images'; images: PushedImage[] }

/** How one provider's webhooks are recognised, trusted and read. */
export interface HookProvider {
  readonly name: Provider
  /** Media types besides JSON that are read as JSON. */
  readonly jsonTypes?: RegExp
  /** Whether the JSON may come as a form's field `payload`. */
  readonly acceptsForms: boolean
  event(headers: IncomingHttpHeaders): string
  /** The id that a redelivery keeps. */
  externalId(headers: IncomingHttpHeaders): string | null
  /** Why the request is not trusted; null if it is. Looks at raw bytes before anything is parsed. */
  refuse(body: Buffer, headers: IncomingHttpHeaders, secrets: ProjectSecrets): string | null | Promise<string | null>
  /** Fails with a ZodError where the payload is not what the provider documents. */
  read(event: string, payload: unknown): HookEvent
}

export const ZERO_SHA = '0'.repeat(40)

export function ignored(event: string): HookEvent {
  return { kind: 'ignored', reason: `event "${event}" makes no build` }
}
