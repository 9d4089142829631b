import { isDeepStrictEqual } from 'node:util'
import type { KubeObject } from '../kinds.ts'
import { timestamp } from '../object-meta.ts'
import { type Cause, fieldManagerConflict } from './api-error.ts'
import { mergeApplied, pruneFields } from './apply-object.ts'
import {
  compareFields,
  type FieldSet,
  fieldsIn,
  fieldText,
  fromFieldsV1,
  isWithin,
  placeOfKind,
  toFieldsV1,
} from './field-set.ts'
import type { Json, JsonObject } from './json.ts'

/** Who writes, as `metadata.managedFields` names them. */
export interface Manager {
  name: string
  operation: 'Apply' | 'Update'
  subresource: string
}

interface Entry extends Manager {
  apiVersion: string
  time: string
  fields: FieldSet
}

interface StoredEntry {
  manager?: string
  operation?: string
  apiVersion?: string
  time?: string
  subresource?: string
  fieldsV1?: Json
}

/** Belong to the API server or name the object; nobody owns them. */
const UNOWNED = [
  'f:apiVersion',
  'f:kind',
  ...['name', 'namespace', 'uid', 'creationTimestamp', 'selfLink', 'generation', 'generateName'].map(metadata),
  ...['resourceVersion', 'managedFields', 'deletionTimestamp', 'deletionGracePeriodSeconds'].map(metadata),
]

function metadata(field: string): string {
  return `f:metadata\nf:${field}`
}

function ownable(fields: FieldSet, { subresource }: Manager): FieldSet {
  const isStatus = (path: string) => isWithin(path, 'f:status')
  const kept = [...fields].filter((path) => {
    if (path === 'f:metadata' || UNOWNED.some((unowned) => isWithin(path, unowned))) return false
    return isStatus(path) === (subresource === 'status')
  })
  return new Set(kept)
}

function readEntries(object: KubeObject): Entry[] {
  return ((object.metadata.managedFields ?? []) as StoredEntry[]).flatMap((entry) => {
    const { manager = '', operation, apiVersion = object.apiVersion, time = timestamp(), subresource = '' } = entry
    if (!manager && !operation) return []
    const fields = fromFieldsV1(entry.fieldsV1)
    const kind = operation === 'Apply' ? ('Apply' as const) : ('Update' as const)
    return [{ name: manager, operation: kind, subresource, apiVersion, time, fields }]
  })
}

/** The object with these owners; who owns nothing any more is no owner. */
function withEntries<T extends KubeObject>(object: T, entries: Entry[]): T {
  const managedFields = entries
    .filter(({ fields }) => fields.size > 0)
    .map(({ name, operation, apiVersion, time, fields, subresource }) => ({
      manager: name,
      operation,
      apiVersion,
      time,
      fieldsType: 'FieldsV1',
      fieldsV1: toFieldsV1(fields),
      ...(subresource ? { subresource } : {}),
    }))
  const { managedFields: _earlier, ...rest } = object.metadata
  return { ...object, metadata: managedFields.length > 0 ? { ...rest, managedFields } : rest }
}

function isSame(a: Manager, b: Manager): boolean {
  return a.name === b.name && a.operation === b.operation && a.subresource === b.subresource
}

function without(fields: FieldSet, others: FieldSet): FieldSet {
  return new Set([...fields].filter((path) => !others.has(path)))
}

/** Puts a manager's fields in the place of those it had; the time is that of the last change. */
function replaceEntry(entries: Entry[], manager: Manager, apiVersion: string, fields: FieldSet): Entry[] {
  const earlier = entries.find((entry) => isSame(entry, manager))
  const isUnchanged = earlier && earlier.apiVersion === apiVersion && isDeepStrictEqual(earlier.fields, fields)
  const entry = isUnchanged ? earlier : { ...manager, apiVersion, time: timestamp(), fields }
  return earlier ? entries.map((each) => (each === earlier ? entry : each)) : [...entries, entry]
}

const plain = (object: KubeObject) => {
  const { managedFields: _fields, ...metadata } = object.metadata
  return JSON.parse(JSON.stringify({ ...object, metadata })) as JsonObject
}

/** After a write that was no apply: what it set is the writer's alone, what it removed is nobody's. */
export function ownUpdated<T extends KubeObject>(before: KubeObject | null, after: T, manager: Manager): T {
  const given = after.metadata.managedFields
  const isReset = given !== undefined && readEntries(after).length === 0
  if (isReset) return withEntries(after, [])
  const entries = readEntries(given === undefined && before ? before : after)
  const { set, removed } = compareFields(before ? plain(before) : {}, plain(after), after.kind)
  const taken = ownable(set, manager)
  const earlier = entries.find((entry) => isSame(entry, manager))?.fields ?? new Set()
  const kept = entries.map((entry) => {
    const fields = without(without(entry.fields, taken), removed)
    return fields.size === entry.fields.size ? entry : { ...entry, fields, time: timestamp() }
  })
  const own = without(new Set([...earlier, ...taken]), removed)
  return withEntries(after, replaceEntry(withTimesOf(entries, kept, manager), manager, after.apiVersion, own))
}

/** The writer's own entry is compared with what it was, so that an unchanged one keeps its time. */
function withTimesOf(entries: Entry[], kept: Entry[], manager: Manager): Entry[] {
  return kept.map((entry, index) => (isSame(entry, manager) ? (entries[index] ?? entry) : entry))
}

export interface Application {
  /** The fields as the client sent them, decoded. */
  applied: KubeObject
  manager: Manager
  /** Takes fields of others that have other values. */
  force: boolean
}

/** Server-side apply: merges, drops what the manager no longer names, and refuses to change what is another's. */
export function applyFields(live: KubeObject, { applied, manager, force }: Application): KubeObject {
  const { kind, apiVersion } = live
  const before = plain(live)
  const wanted = ownable(fieldsIn(plain(applied), placeOfKind(kind)), manager)
  const merged = mergeApplied(before, onlyNamed(plain(applied), manager), kind)
  const entries = readEntries(live)
  const changed = compareFields(before, merged, kind).set
  const contested = [...changed].filter((path) => wanted.has(path))
  const conflicts = entries
    .filter((entry) => !isSame(entry, manager))
    .flatMap((entry) => contested.filter((path) => entry.fields.has(path)).map((path) => ({ entry, path })))
  const handedOver = manager.name === 'kubectl' ? appliedByClient(before, kind) : new Set()
  const refused = conflicts.filter(({ path }) => !handedOver.has(path))
  if (refused.length > 0 && !force) throw conflictOf(refused)
  const taken = new Set(contested)
  const left = entries.map((entry) =>
    isSame(entry, manager) ? entry : { ...entry, fields: without(entry.fields, taken) },
  )
  const earlier = left.find((entry) => isSame(entry, manager))?.fields ?? new Set<string>()
  const others = left.filter((entry) => !isSame(entry, manager)).flatMap(({ fields }) => [...fields])
  const kept = new Set([...wanted, ...others])
  const pruned = pruneFields(merged, without(earlier, kept), kept, kind) as unknown as KubeObject
  return withEntries(pruned, replaceEntry(left, manager, apiVersion, wanted))
}

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration'

/**
 * Fields that are still as a client-side `kubectl apply` has set them: one on the server's side takes them over.
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/#migration-between-client-side-and-server-side-apply
 */
function appliedByClient(live: JsonObject, kind: string): FieldSet {
  const { annotations = {} } = live['metadata'] as { annotations?: Record<string, string> }
  try {
    const applied = JSON.parse(annotations[LAST_APPLIED] ?? '{}') as JsonObject
    const differing = compareFields(live, mergeApplied(live, applied, kind), kind).set
    return without(fieldsIn(applied, placeOfKind(kind)), differing)
  } catch {
    // An annotation that is no JSON hands nothing over.
    return new Set()
  }
}

/** Without what an apply cannot set at this path. */
function onlyNamed(applied: JsonObject, { subresource }: Manager): JsonObject {
  if (subresource === 'status') return applied['status'] === undefined ? {} : { status: applied['status'] }
  const { status: _status, ...rest } = applied
  return rest
}

interface FieldConflict {
  entry: Entry
  path: string
}

function conflictOf(conflicts: FieldConflict[]) {
  const causes = conflicts.map(
    ({ entry, path }): Cause => ({
      reason: 'FieldManagerConflict',
      message: `conflict with ${managerText(entry)}`,
      field: fieldText(path),
    }),
  )
  const [first] = causes
  if (first && causes.length === 1) return fieldManagerConflict(causes, `1 conflict: ${first.message}: ${first.field}`)
  const managers = [...new Set(conflicts.map(({ entry }) => managerText(entry)))].sort()
  const lines = managers.flatMap((manager) => [
    `conflicts with ${manager}:`,
    ...conflicts.filter(({ entry }) => managerText(entry) === manager).map(({ path }) => `- ${fieldText(path)}`),
  ])
  return fieldManagerConflict(causes, `${causes.length} conflicts: ${lines.join('\n')}`)
}

function managerText({ name, operation, apiVersion, subresource }: Entry): string {
  const named = `${JSON.stringify(name)}${subresource ? ` with subresource "${subresource}"` : ''}`
  return operation === 'Update' ? `${named} using ${apiVersion}` : named
}
