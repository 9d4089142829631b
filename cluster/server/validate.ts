import { isDeepStrictEqual } from 'node:util'
import type { Deployment, Kinds, KubeObject, ObjectMeta, ReplicaSet, Service } from '../kinds.ts'
import { selects } from '../selectors.ts'
import type { Cause } from './api-error.ts'
import { forbiddenField, invalidValue, required, unsupportedValue } from './field-errors.ts'
import {
  configKeyProblem,
  dns1035Problem,
  labelKeyProblem,
  labelProblem,
  labelValueProblem,
  subdomainProblem,
} from './names.ts'
import { validatePodSpec } from './validate-pod.ts'
import { validateService } from './validate-service.ts'

/** What is wrong with a defaulted object; `before` is what it replaces. */
export function validate(given: KubeObject, before: KubeObject | null): Cause[] {
  const object = given as Kinds[keyof Kinds]
  const causes = validateMeta(object.metadata, object.kind)
  switch (object.kind) {
    case 'Deployment':
      return [...causes, ...validateDeployment(object, before as Deployment | null)]
    case 'ReplicaSet':
      return [...causes, ...validateWorkload(object, before as ReplicaSet | null)]
    case 'Pod':
      return [...causes, ...validatePodSpec(object.spec, 'spec')]
    case 'Service':
      return [...causes, ...validateService(object, before as Service | null)]
    case 'ConfigMap':
      return [...causes, ...validateKeys(object.data, 'data'), ...validateKeys(object.binaryData, 'binaryData')]
    case 'Secret':
      return [...causes, ...validateKeys(object.data, 'data')]
    case 'Endpoints':
    case 'EndpointSlice':
    case 'Node':
    case 'Event':
    case 'Namespace':
    case 'ServiceAccount':
    case 'Lease':
      return causes
    default:
      return object satisfies never
  }
}

function validateMeta(meta: ObjectMeta, kind: string): Cause[] {
  const causes: Cause[] = []
  if (!meta.name && !meta.generateName) {
    causes.push({ ...required('metadata.name'), message: 'Required value: name or generateName is required' })
  } else {
    const rule = kind === 'Service' ? dns1035Problem : kind === 'Namespace' ? labelProblem : subdomainProblem
    const problem = meta.name ? rule(meta.name) : null
    if (problem) causes.push(invalidValue('metadata.name', meta.name, problem))
  }
  return [...causes, ...validateLabels(meta.labels, 'metadata.labels'), ...validateAnnotations(meta.annotations)]
}

function validateLabels(labels: Record<string, string> | undefined, field: string): Cause[] {
  return Object.entries(labels ?? {}).flatMap(([key, value]) => {
    const wrongKey = labelKeyProblem(key)
    const wrongValue = labelValueProblem(value)
    const causes = wrongKey ? [invalidValue(field, key, wrongKey)] : []
    return wrongValue ? [...causes, invalidValue(field, value, wrongValue)] : causes
  })
}

/** All annotations of an object together. */
const ANNOTATION_BYTES = 256 * 1024

function validateAnnotations(annotations: Record<string, string> = {}): Cause[] {
  const sizeBytes = Object.entries(annotations).reduce((sum, [key, value]) => sum + key.length + value.length, 0)
  if (sizeBytes <= ANNOTATION_BYTES) return []
  const message = `Too long: may not be more than ${ANNOTATION_BYTES} bytes`
  return [{ reason: 'FieldValueTooLong', message, field: 'metadata.annotations' }]
}

function validateKeys(data: Record<string, string> | undefined, field: string): Cause[] {
  return Object.keys(data ?? {}).flatMap((key) => {
    const problem = configKeyProblem(key)
    return problem ? [invalidValue(`${field}[${key}]`, key, problem)] : []
  })
}

/** Selector and template, which Deployments and ReplicaSets share. */
function validateWorkload({ spec }: Deployment | ReplicaSet, before: Deployment | ReplicaSet | null): Cause[] {
  if (!spec) return [required('spec.selector')]
  const causes: Cause[] = []
  if ((spec.replicas ?? 0) < 0) {
    causes.push(invalidValue('spec.replicas', spec.replicas, 'must be greater than or equal to 0'))
  }
  const { selector, template } = spec
  const isEmpty = !selector || (!selector.matchLabels && !selector.matchExpressions?.length)
  if (!selector) causes.push(required('spec.selector'))
  else if (isEmpty) causes.push(invalidValue('spec.selector', selector, 'empty selector is invalid for deployment'))
  const labels = template?.metadata?.labels
  if (isEmpty || !selects(selector, labels)) {
    const why = '`selector` does not match template `labels`'
    causes.push(invalidValue('spec.template.metadata.labels', labels ?? {}, why))
  }
  causes.push(
    ...validateLabels(labels, 'spec.template.labels'),
    ...validatePodSpec(template?.spec, 'spec.template.spec'),
  )
  const restartPolicy = template?.spec?.restartPolicy
  if (restartPolicy === 'Never' || restartPolicy === 'OnFailure') {
    causes.push(unsupportedValue('spec.template.spec.restartPolicy', restartPolicy, ['Always']))
  }
  if (before && !isDeepStrictEqual(before.spec.selector, selector)) {
    causes.push(invalidValue('spec.selector', selector, 'field is immutable'))
  }
  return causes
}

function validateDeployment(deployment: Deployment, before: Deployment | null): Cause[] {
  const causes = validateWorkload(deployment, before)
  const { strategy, minReadySeconds = 0, progressDeadlineSeconds, revisionHistoryLimit = 0 } = deployment.spec ?? {}
  if (strategy?.type === 'Recreate' && strategy.rollingUpdate) {
    const why = "may not be specified when strategy `type` is 'Recreate'"
    causes.push(forbiddenField('spec.strategy.rollingUpdate', why))
  } else if (strategy?.type === 'RollingUpdate') {
    causes.push(...validateRollingUpdate(strategy.rollingUpdate ?? {}))
  } else if (strategy?.type !== 'Recreate') {
    causes.push(unsupportedValue('spec.strategy.type', strategy?.type, ['Recreate', 'RollingUpdate']))
  }
  const counts = { minReadySeconds, revisionHistoryLimit }
  for (const [name, value] of Object.entries(counts)) {
    if (value < 0) causes.push(invalidValue(`spec.${name}`, value, 'must be greater than or equal to 0'))
  }
  if (progressDeadlineSeconds !== undefined && progressDeadlineSeconds <= minReadySeconds) {
    const why = 'must be greater than minReadySeconds'
    causes.push(invalidValue('spec.progressDeadlineSeconds', progressDeadlineSeconds, why))
  }
  return causes
}

function validateRollingUpdate(update: { maxSurge?: number | string; maxUnavailable?: number | string }): Cause[] {
  const causes: Cause[] = []
  for (const name of ['maxUnavailable', 'maxSurge'] as const) {
    const value = update[name] ?? 0
    const field = `spec.strategy.rollingUpdate.${name}`
    if (typeof value === 'number' && value < 0) {
      causes.push(invalidValue(field, value, 'must be greater than or equal to 0'))
    } else if (typeof value === 'string' && !/^\d+%$/.test(value)) {
      const why =
        "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
      causes.push(invalidValue(field, value, why))
    } else if (name === 'maxUnavailable' && Number.parseInt(String(value), 10) > 100 && typeof value === 'string') {
      causes.push(invalidValue(field, value, 'must not be greater than 100%'))
    }
  }
  const isZero = (value: number | string | undefined) => Number.parseInt(String(value ?? 0), 10) === 0
  if (causes.length === 0 && isZero(update.maxSurge) && isZero(update.maxUnavailable)) {
    const why = 'may not be 0 when `maxSurge` is 0'
    causes.push(invalidValue('spec.strategy.rollingUpdate.maxUnavailable', update.maxUnavailable, why))
  }
  return causes
}
