import type { Descriptor } from '#domain/digest'
import type { BuiltGraph } from '../built-result.ts'
import type { CopySource, Operation } from '../plan/plan.ts'
import { withoutSecrets } from '../remote/origin.ts'
import { stepsBefore } from '../solver/step-inputs.ts'
import { LAYOUT, layoutName } from './materials.ts'

/** The steps of a build in the terms of BuildKit's low-level builder, as readers of provenance know them. */
export function buildConfigOf({ plan }: BuiltGraph): object {
  return {
    llbDefinition: plan.steps.map((step, index) => ({
      id: stepId(index),
      op: { Op: opOf(step.operation) },
      ...withInputs(stepsBefore(step)),
    })),
  }
}

/** Where in the Dockerfile each step stands, and the Dockerfile itself. */
export function sourceOf({ plan, source }: BuiltGraph): object {
  const locations = plan.steps.flatMap(({ line, lastLine }, index) =>
    line === null
      ? []
      : [[stepId(index), { locations: [{ ranges: [{ start: { line }, end: { line: lastLine ?? line } }] }] }] as const],
  )
  return {
    locations: Object.fromEntries(locations),
    infos: [{ filename: source.name, language: 'Dockerfile', data: Buffer.from(source.text).toString('base64') }],
  }
}

/** The layers that each step's file system is made of. */
export function layersOf({ solved }: BuiltGraph): Record<string, Descriptor[][]> {
  return Object.fromEntries(
    solved.flatMap(({ chain }, index) => {
      const layers = chain.layers.map(({ layer }) => layer.descriptor)
      return layers.length > 0 ? [[`${stepId(index)}:0`, [layers]]] : []
    }),
  )
}

function stepId(index: number): string {
  return `step${index}`
}

function withInputs(before: readonly number[]): { inputs?: string[] } {
  return before.length > 0 ? { inputs: before.map((index) => `${stepId(index)}:0`) } : {}
}

function opOf(operation: Operation): object {
  switch (operation.kind) {
    case 'base': {
      const { reference, manifestDigest } = operation.image
      const name = reference.startsWith(LAYOUT) ? LAYOUT + layoutName(reference) : `docker-image://${reference}`
      return { source: { identifier: name.includes('@') ? name : `${name}@${manifestDigest}` } }
    }
    case 'run': {
      const { args, env, workingDir: cwd, user, network, security, mounts } = operation
      const dests = mounts.map((mount) => ({ dest: mount.target, type: mount.kind }))
      const meta = { args, env, cwd, ...(user === '' ? {} : { user }) }
      return { exec: { meta, mounts: [{ dest: '/', type: 'root' }, ...dests], network, security } }
    }
    case 'copy': {
      const { destination: dest, sources } = operation
      return { file: { actions: sources.map((source) => ({ Action: { copy: { src: sourceName(source), dest } } })) } }
    }
    case 'workdir':
      return { file: { actions: [{ Action: { mkdir: { path: operation.path } } }] } }
    default:
      return operation satisfies never
  }
}

function sourceName(source: CopySource): string {
  switch (source.kind) {
    case 'path':
      return source.path
    case 'inline':
      return source.name
    case 'http':
      return withoutSecrets(source.url)
    case 'git':
      return `${withoutSecrets(source.url)}${source.ref ? `#${source.ref}` : ''}`
    default:
      return source satisfies never
  }
}
