import type { OpenObjects } from '../open-objects.ts'
import type { ControllerParts } from './controller.ts'
import { startDeploymentController } from './deployment.ts'
import { startEndpointsController } from './endpoints.ts'
import { startEventExpiry } from './event-expiry.ts'
import { startGarbageCollector } from './garbage-collector.ts'
import { startNamespaceController } from './namespaces.ts'
import { startReplicaSetController } from './replica-set.ts'

/** Starts every controller; disposing stops them after the step they are at. */
export async function startControllers(parts: ControllerParts & { objects: OpenObjects }): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  stack.use(await startNamespaceController(parts))
  stack.use(startEndpointsController(parts))
  stack.use(startReplicaSetController(parts))
  stack.use(startDeploymentController(parts))
  stack.use(startGarbageCollector(parts))
  stack.use(startEventExpiry(parts))
  return stack.move()
}
