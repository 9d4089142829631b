import type { IncomingHttpHeaders } from 'node:http'
import type { Provider } from '#domain/delivery'
import type { Push } from '#domain/push'
import type { ProjectSecrets } from '#store/contract'

/** What a provider's request comes down to. */
export type HookEvent =
  | { kind: 'answered'; reason: string }
  | { kind: 'ignored'; reason: string }
  | {
      kind: 'push'
      push: Push
      /** Every URL by which the event names its repository. */
      repositories: string[]
      changedPaths: string[] | null
    }

/** How one provider's webhooks are recognised, trusted and read. */
export interface HookProvider {
  readonly name: Provider
  /** Media types besides JSON: GitHub also signs and sends forms. */
  readonly acceptsForms: boolean
  event(headers: IncomingHttpHeaders): string
  /** The id that a redelivery keeps. */
  externalId(headers: IncomingHttpHeaders): string | null
  /** Why the request is not trusted; null if it is. Looks at raw bytes and parses nothing. */
  refuse(body: Buffer, headers: IncomingHttpHeaders, secrets: ProjectSecrets): Promise<string | null>
  /** Fails with a ZodError where the payload is not what the provider documents. */
  read(event: string, payload: unknown): HookEvent
}

/** A header's one value; a repeated header is no value. */
export function header(headers: IncomingHttpHeaders, name: string): string | null {
  const value = headers[name]
  return typeof value === 'string' && value !== '' ? value : null
}

export const NO_SECRET = 'no webhook secret is configured for this project, so nothing can be trusted'
