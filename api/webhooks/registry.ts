import { readRegistryEvents } from './image-events.ts'
import type { HookProvider } from './provider.ts'
import { refuseAuthorization } from './signatures.ts'

/** Notifications of a distribution registry. They are not signed: the registry sends what it was configured to send. */
export const registry: HookProvider = {
  name: 'registry',
  acceptsForms: false,
  jsonTypes: /^application\/vnd\.docker\.distribution\.events\.v[12]\+json$/,
  event: () => 'notification',
  // An envelope has no id; each event in it has one.
  externalId: () => null,
  refuse: (_body, headers, { webhookSecret }) => refuseAuthorization(headers, webhookSecret),
  read: (_event, payload) => readRegistryEvents(payload),
}
