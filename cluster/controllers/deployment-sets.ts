import { SlipwayError } from '#domain/errors'
import type { Deployment, ReplicaSet } from '../kinds.ts'
import { nameOf, type ObjectStore, referenceTo } from '../objects.ts'
import { selects } from '../selectors.ts'
import { findCondition, withCondition } from './conditions.ts'
import { controllerOf, controllerReference, isOwnedBy, withOwner, withoutOwner } from './controller.ts'
import { hasDeadline } from './deployment-status.ts'
import {
  currentAnnotations,
  nextRevision,
  REVISION,
  revisionOf,
  sameTemplate,
  sizeAnnotations,
  TEMPLATE_HASH,
  templateHash,
} from './revisions.ts'
import { boundsOf, byAge, grownSize } from './rolling-update.ts'

/** The ReplicaSets of one Deployment, always as they are now. */
export class DeploymentSets {
  readonly #objects: ObjectStore
  readonly #deployment: Deployment

  constructor(objects: ObjectStore, deployment: Deployment) {
    this.#objects = objects
    this.#deployment = deployment
  }

  /**
   * The Deployment with the annotations and conditions written meanwhile. Spec and generation are those this step began
   * with: what it reports must not be taken for a change that came after.
   */
  latest(): Deployment {
    const { namespace, name } = nameOf(this.#deployment)
    const latest = this.#objects.get('Deployment', namespace, name)
    if (!latest) return this.#deployment
    const { generation = 0 } = this.#deployment.metadata
    return { ...latest, metadata: { ...latest.metadata, generation }, spec: this.#deployment.spec }
  }

  all(): ReplicaSet[] {
    const sets = this.#objects.list('ReplicaSet', this.#deployment.metadata.namespace)
    return sets.filter((set) => isOwnedBy(set, this.#deployment))
  }

  /** The oldest ReplicaSet with the Deployment's template. */
  findNew(): ReplicaSet | null {
    const same = this.all().filter(({ spec }) => sameTemplate(spec.template, this.#deployment.spec.template))
    return same.sort((a, b) => byAge(toAged(a), toAged(b)))[0] ?? null
  }

  olds(): ReplicaSet[] {
    const newSet = this.findNew()
    return this.all().filter(({ metadata }) => metadata.uid !== newSet?.metadata.uid)
  }

  /** Takes in orphans the selector matches, lets go of those it does not. */
  async claim(): Promise<void> {
    const { spec, metadata } = this.#deployment
    for (const set of this.#objects.list('ReplicaSet', metadata.namespace)) {
      const isMatch = selects(spec.selector, set.metadata.labels)
      const isOwn = isOwnedBy(set, this.#deployment)
      if (isOwn && !isMatch) {
        await this.#objects.update(nameOf(set), (draft) => withoutOwner(draft, this.#deployment))
      } else if (isMatch && !controllerOf(set) && !metadata.deletionTimestamp && !set.metadata.deletionTimestamp) {
        await this.#objects.update(nameOf(set), (draft) => withOwner(draft, this.#deployment))
      }
    }
  }

  /** The ReplicaSet of the current template, made if need be; null where its name is taken and the next try has another. */
  async ensureNew(): Promise<ReplicaSet | null> {
    const found = this.findNew()
    const revision = nextRevision(this.olds())
    const ready = found ? await this.#refresh(found, revision) : await this.#create(revision)
    if (!ready) return null
    const reason = found ? 'FoundNewReplicaSet' : 'NewReplicaSetCreated'
    const message = `${found ? 'Found' : 'Created'} new replica set "${ready.metadata.name}"`
    await this.#noteRevision(ready, { reason, message, isNew: !found })
    return ready
  }

  /** Changes a size; false if it was that already. */
  async resize(set: ReplicaSet, size: number, options: { alwaysAnnotate?: boolean } = {}): Promise<boolean> {
    const before = set.spec.replicas ?? 0
    if (before === size && !options.alwaysAnnotate) return false
    await this.#objects.update(nameOf(set), (draft) => {
      draft.spec.replicas = size
      draft.metadata.annotations = {
        ...draft.metadata.annotations,
        ...sizeAnnotations(boundsOf(this.#deployment.spec)),
      }
      return draft
    })
    if (before !== size) this.#recordScaling(set.metadata.name, before, size)
    return before !== size
  }

  /** Removes old, empty ReplicaSets beyond the history limit. */
  async trim(isComplete: boolean): Promise<void> {
    const limit = this.#deployment.spec.revisionHistoryLimit
    if (!isComplete || limit === undefined) return
    const olds = this.olds().filter(({ metadata }) => !metadata.deletionTimestamp)
    const surplus = olds.sort((a, b) => revisionOf(a) - revisionOf(b) || byAge(toAged(a), toAged(b)))
    for (const set of surplus.slice(0, Math.max(0, olds.length - limit))) {
      const { spec, status, metadata } = set
      const isEmpty = (spec.replicas ?? 0) === 0 && (status?.replicas ?? 0) === 0
      const isSeen = (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0)
      if (isEmpty && isSeen) await this.#objects.delete(nameOf(set))
    }
  }

  /** Whether pods of other templates still run; Recreate waits for them. */
  hasOldPods(): boolean {
    const newSet = this.findNew()
    const uids = new Set(this.olds().map(({ metadata }) => metadata.uid))
    return this.#objects.list('Pod', this.#deployment.metadata.namespace).some((pod) => {
      const owner = controllerOf(pod)?.uid
      const isOver = pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded'
      return owner !== undefined && owner !== newSet?.metadata.uid && uids.has(owner) && !isOver
    })
  }

  async #refresh(set: ReplicaSet, revision: number): Promise<ReplicaSet> {
    return await this.#objects.update(nameOf(set), (draft) => {
      const annotations = currentAnnotations(this.#deployment, draft, revision)
      const { minReadySeconds } = this.#deployment.spec
      const { minReadySeconds: _before, ...spec } = draft.spec
      const kept = minReadySeconds === undefined ? spec : { ...spec, minReadySeconds }
      return { ...draft, metadata: { ...draft.metadata, annotations }, spec: kept }
    })
  }

  async #create(revision: number): Promise<ReplicaSet | null> {
    const draft = this.#newSet(revision)
    try {
      const created = await this.#objects.create(draft)
      if (draft.spec.replicas) this.#recordScaling(draft.metadata.name, 0, draft.spec.replicas)
      return created
    } catch (error) {
      if (!(error instanceof SlipwayError) || error.kind !== 'already-exists') throw error
      // Another template with the same hash has the name: the next count gives another hash.
      await this.#objects.updateStatus(nameOf(this.#deployment), (latest) => {
        latest.status = { ...latest.status, collisionCount: (latest.status?.collisionCount ?? 0) + 1 }
        return latest
      })
      return null
    }
  }

  #newSet(revision: number): ReplicaSet & { kind: 'ReplicaSet' } {
    const { metadata, spec, status } = this.#deployment
    const hash = templateHash(spec.template, status?.collisionCount)
    const labels = { ...spec.template.metadata?.labels, [TEMPLATE_HASH]: hash }
    const bounds = boundsOf(spec)
    const total = this.all().reduce((sum, set) => sum + (set.spec.replicas ?? 0), 0)
    const replicas = spec.strategy?.type === 'Recreate' ? bounds.desired : grownSize(bounds, 0, total)
    const set: ReplicaSet & { kind: 'ReplicaSet' } = {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: {
        name: `${metadata.name}-${hash}`,
        namespace: metadata.namespace ?? '',
        generation: 1,
        labels,
        ownerReferences: [controllerReference(this.#deployment)],
      },
      spec: {
        replicas,
        ...(spec.minReadySeconds === undefined ? {} : { minReadySeconds: spec.minReadySeconds }),
        selector: { ...spec.selector, matchLabels: { ...spec.selector.matchLabels, [TEMPLATE_HASH]: hash } },
        template: { ...spec.template, metadata: { ...spec.template.metadata, labels } },
      },
      status: { replicas: 0 },
    }
    set.metadata.annotations = { ...currentAnnotations(this.#deployment, set, revision), ...sizeAnnotations(bounds) }
    return set
  }

  /** The Deployment shows the revision it is at, and that it found or made its ReplicaSet. */
  async #noteRevision(set: ReplicaSet, what: { reason: string; message: string; isNew: boolean }): Promise<void> {
    const revision = set.metadata.annotations?.[REVISION] ?? ''
    await this.#objects.update(nameOf(this.#deployment), (draft) => {
      draft.metadata.annotations = { ...draft.metadata.annotations, [REVISION]: revision }
      return draft
    })
    const isNoted = findCondition(this.latest().status?.conditions, 'Progressing') !== null
    if (!hasDeadline(this.#deployment) || (isNoted && !what.isNew)) return
    const condition = { type: 'Progressing', status: 'True', reason: what.reason, message: what.message } as const
    await this.#objects.updateStatus(nameOf(this.#deployment), (draft) => {
      draft.status = { ...draft.status, conditions: withCondition(draft.status?.conditions ?? [], condition) }
      return draft
    })
  }

  #recordScaling(name: string, before: number, after: number): void {
    const message = `Scaled ${after > before ? 'up' : 'down'} replica set ${name} from ${before} to ${after}`
    const note = { type: 'Normal', reason: 'ScalingReplicaSet', message, component: 'deployment-controller' } as const
    this.#objects.recordEvent(referenceTo(this.#deployment), note)
  }
}

function toAged({ metadata }: ReplicaSet): { name: string; created: number } {
  return { name: metadata.name, created: Date.parse(metadata.creationTimestamp ?? '') }
}
