import type { BuiltGraph } from '../built-result.ts'
import type { BuildRequest, ProvenanceSettings } from '../contract.ts'
import { hostPlatform } from '../host-platform.ts'
import { formatPlatform } from '../plan/platform.ts'
import { buildConfigOf, layersOf, sourceOf } from './build-config.ts'
import { type Material, materialsOf } from './materials.ts'
import type { Predicate } from './statement.ts'

/** What is known of how an image was made, whichever version of the predicate tells it. */
interface Facts {
  configSource: Material & { path: string }
  materials: readonly Material[]
  parameters: Parameters
  /** Whether something was left out of the parameters. */
  isFiltered: boolean
  isHermetic: boolean
  isTracked: boolean
  startedOn: string
  finishedOn: string
  invocationId: string
  buildConfig: object | null
  metadata: object
}

interface Parameters {
  frontend: string
  args?: Readonly<Record<string, string>>
  secrets?: readonly { id: string; optional?: true }[]
  ssh?: readonly { id: string; optional?: true }[]
  locals?: readonly { name: string }[]
}

/** How an image was made, in the words of https://slsa.dev/provenance; values of secrets are never told. */
export async function provenanceOf(
  graph: BuiltGraph,
  settings: ProvenanceSettings,
  signal: AbortSignal,
): Promise<Predicate> {
  const facts = factsOf(graph, settings, await materialsOf(graph, signal))
  const predicate = settings.version === 'v1' ? predicateV1(facts, settings) : predicateV02(facts, settings)
  const { version, fileName = 'provenance.json', inlineOnly = false } = settings
  return { predicateType: `https://slsa.dev/provenance/${version}`, fileName, inlineOnly, predicate }
}

function factsOf(graph: BuiltGraph, { mode }: ProvenanceSettings, materials: readonly Material[]): Facts {
  const { request, plan, source, startedAtMs, finishedAtMs, invocationId } = graph
  const isMax = mode === 'max'
  const args = argsOf(request)
  const kept = isMax ? args : Object.fromEntries(Object.entries(args).filter(([name]) => !isPrivate(name)))
  const locals = localsOf(request)
  const isTracked = locals.length === 0
  const hasNetwork = plan.steps.some(({ operation }) => operation.kind === 'run' && operation.network !== 'none')
  return {
    configSource: { ...(request.context.origin ?? { uri: '' }), path: source.name },
    materials,
    parameters: {
      frontend: 'dockerfile.v0',
      ...(Object.keys(kept).length > 0 ? { args: kept } : {}),
      ...(isMax ? mountedIn(graph) : {}),
      ...(isTracked ? {} : { locals }),
    },
    isFiltered: Object.keys(kept).length < Object.keys(args).length,
    isHermetic: isTracked && !hasNetwork,
    isTracked,
    startedOn: new Date(startedAtMs).toISOString(),
    finishedOn: new Date(finishedAtMs).toISOString(),
    invocationId,
    buildConfig: isMax ? buildConfigOf(graph) : null,
    metadata: isMax ? { source: sourceOf(graph), layers: layersOf(graph) } : {},
  }
}

/** What a build was asked for, named as BuildKit's Dockerfile frontend names it. */
function argsOf({ buildArgs, labels, target, useCache, noCacheStages, network }: BuildRequest): Record<string, string> {
  const named = (prefix: string, values: Readonly<Record<string, string>>) =>
    Object.entries(values).map(([name, value]) => [`${prefix}:${name}`, value] as const)
  const noCache = useCache ? noCacheStages.join(',') : ''
  return Object.fromEntries([
    ...named('build-arg', buildArgs),
    ...named('label', labels),
    ...(target === null ? [] : [['target', target] as const]),
    ...(useCache && noCache === '' ? [] : [['no-cache', noCache] as const]),
    ...(network === 'default' ? [] : [['force-network-mode', network] as const]),
  ])
}

/** Only told at length: they may hold what was not meant for everybody. */
function isPrivate(name: string): boolean {
  return name.startsWith('build-arg:') || name.startsWith('label:')
}

/** What nobody else can look up. */
function localsOf({ context, namedContexts, dockerfile }: BuildRequest): { name: string }[] {
  const named = Object.entries(namedContexts).flatMap(([name, one]) =>
    one.kind === 'context' && !one.context.origin ? [{ name }] : [],
  )
  const main = context.origin ? [] : [{ name: 'context' }]
  return [...main, ...('path' in dockerfile && context.origin ? [] : [{ name: 'dockerfile' }]), ...named]
}

function mountedIn({ plan }: BuiltGraph): Pick<Parameters, 'secrets' | 'ssh'> {
  const mounts = plan.steps.flatMap(({ operation }) => (operation.kind === 'run' ? operation.mounts : []))
  const ofKind = (kind: 'secret' | 'ssh') => {
    const found = mounts.flatMap((mount) =>
      mount.kind === kind ? [{ id: mount.id, ...(mount.required ? {} : { optional: true as const }) }] : [],
    )
    return [...new Map(found.map((one) => [one.id, one])).values()]
  }
  const [secrets, ssh] = [ofKind('secret'), ofKind('ssh')]
  return { ...(secrets.length > 0 ? { secrets } : {}), ...(ssh.length > 0 ? { ssh } : {}) }
}

/** https://slsa.dev/spec/v0.2/provenance */
function predicateV02(facts: Facts, { builderId, reproducible }: ProvenanceSettings): object {
  const { uri, digest, path: entryPoint } = facts.configSource
  return {
    builder: { id: builderId },
    buildType: 'https://mobyproject.org/buildkit@v1',
    materials: facts.materials,
    invocation: {
      configSource: { ...(uri ? { uri } : {}), ...(digest ? { digest } : {}), entryPoint },
      parameters: facts.parameters,
      environment: { platform: formatPlatform(hostPlatform()) },
    },
    ...(facts.buildConfig ? { buildConfig: facts.buildConfig } : {}),
    metadata: {
      buildInvocationID: facts.invocationId,
      buildStartedOn: facts.startedOn,
      buildFinishedOn: facts.finishedOn,
      completeness: { parameters: !facts.isFiltered, environment: true, materials: facts.isTracked },
      reproducible,
      ...(facts.isHermetic ? { 'https://mobyproject.org/buildkit@v1#hermetic': true } : {}),
      'https://mobyproject.org/buildkit@v1#metadata': facts.metadata,
    },
  }
}

/** https://slsa.dev/spec/v1.1/provenance */
function predicateV1(facts: Facts, { builderId, reproducible }: ProvenanceSettings): object {
  const { uri, digest, path } = facts.configSource
  return {
    buildDefinition: {
      buildType: 'https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md',
      externalParameters: {
        configSource: { ...(uri ? { uri } : {}), ...(digest ? { digest } : {}), path },
        request: facts.parameters,
      },
      internalParameters: {
        builderPlatform: formatPlatform(hostPlatform()),
        ...(facts.buildConfig ? { buildConfig: facts.buildConfig } : {}),
      },
      resolvedDependencies: facts.materials,
    },
    runDetails: {
      builder: { id: builderId },
      metadata: {
        invocationID: facts.invocationId,
        startedOn: facts.startedOn,
        finishedOn: facts.finishedOn,
        buildkit_metadata: facts.metadata,
        buildkit_hermetic: facts.isHermetic,
        buildkit_completeness: { request: !facts.isFiltered, resolvedDependencies: facts.isTracked },
        buildkit_reproducible: reproducible,
      },
    },
  }
}
