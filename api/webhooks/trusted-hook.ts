import type { IncomingHttpHeaders } from 'node:http'
import type { Build } from '#domain/build'
import type { Verdict } from '#domain/delivery'
import type { DeliveryId, ProjectName } from '#domain/ids'
import type { HookProvider } from './provider.ts'

/** What a hook came to. */
export interface Judged {
  verdict: Verdict
  builds: Build[]
}

/** Why a hook is handled: it came in (and its id counts once), a person runs it again, or a person approved its commit. */
export type Occasion =
  | { kind: 'received'; scrubbed: string; bodyBytes: number }
  | { kind: 'again' }
  | { kind: 'approved' }

/** A request that is known to come from its provider. */
export interface TrustedHook {
  project: ProjectName
  provider: HookProvider
  headers: IncomingHttpHeaders
  body: Buffer
  delivery: DeliveryId
  occasion: Occasion
}

export function refused(status: number, reason: string): Judged {
  return without({ kind: 'rejected', status, reason })
}

export function ignoredFor(reason: string): Judged {
  return without({ kind: 'ignored', reason, ignored: [] })
}

export const without = (verdict: Verdict): Judged => ({ verdict, builds: [] })
