import { createHash } from 'node:crypto'
import type { BuiltGraph } from '../built-result.ts'
import { type Chain, EMPTY_CHAIN } from '../solver/chain.ts'
import { type LayerTools, materialise } from '../solver/layer-files.ts'
import { chainOf } from '../solver/target-chain.ts'
import { findPackages } from './find-packages.ts'
import type { FoundPackage } from './package.ts'
import type { Predicate } from './statement.ts'

const DOCUMENT = 'SPDXRef-DOCUMENT'
const ROOT = 'SPDXRef-DocumentRoot'

/**
 * What an image holds, as an SPDX document, and with it one for each stage and for the context where the Dockerfile
 * asks for them. https://spdx.github.io/spdx-spec/v2.3/
 */
export async function sbomsOf(graph: BuiltGraph, tools: LayerTools, signal: AbortSignal): Promise<Predicate[]> {
  const { plan, solved, request } = graph
  const predicates = [await sbomOfChain({ graph, name: 'sbom', chain: chainOf(graph) }, tools, signal)]
  for (const { name, fileSystem } of plan.scans?.stages ?? []) {
    const chain = fileSystem === null ? EMPTY_CHAIN : (solved[fileSystem]?.chain ?? EMPTY_CHAIN)
    predicates.push(await sbomOfChain({ graph, name: `sbom-${name}`, chain }, tools, signal))
  }
  if (!plan.scans?.context) return predicates
  const packages = await findPackages(await request.context.materialise(signal), signal)
  const id = graph.invocationId
  return [...predicates, toPredicate(packages, { name: 'sbom-context', id, created: createdOf(graph) })]
}

async function sbomOfChain(
  { graph, name, chain }: { graph: BuiltGraph; name: string; chain: Chain },
  tools: LayerTools,
  signal: AbortSignal,
): Promise<Predicate> {
  await using root = await tools.snapshots.view(await materialise(tools, chain, signal))
  const packages = await findPackages(root.rootDir, signal)
  return toPredicate(packages, { name, id: chain.id ?? 'empty', created: createdOf(graph) })
}

function toPredicate(packages: readonly FoundPackage[], about: DocumentOptions): Predicate {
  const fileName = `${about.name.replaceAll('/', '_')}.spdx.json`
  return { predicateType: 'https://spdx.dev/Document', fileName, predicate: composeDocument(packages, about) }
}

interface DocumentOptions {
  name: string
  /** Tells documents of one name apart. */
  id: string
  created: string
}

/** The same for the same layers, so that a build from the cache says it again in the same bytes. */
function createdOf({ plan, solved, finishedAtMs }: BuiltGraph): string {
  const newest = Math.max(...solved.map(({ createdAtMs }) => createdAtMs ?? 0))
  const atMs = plan.sourceDateEpoch === null ? newest || finishedAtMs : plan.sourceDateEpoch * 1000
  // SPDX has whole seconds.
  return new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z')
}

export function composeDocument(
  packages: readonly FoundPackage[],
  { name, id, created }: DocumentOptions,
): Record<string, unknown> {
  const root = { ...UNKNOWN, SPDXID: ROOT, name: 'rootfs', primaryPackagePurpose: 'CONTAINER' }
  const listed = packages.map((one) => ({
    ...UNKNOWN,
    SPDXID: `SPDXRef-Package-${createHash('sha256').update(one.purl).digest('hex').slice(0, 16)}`,
    name: one.name,
    versionInfo: one.version,
    licenseDeclared: one.license ?? 'NOASSERTION',
    sourceInfo: `read from ${one.path}`,
    externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: one.purl }],
  }))
  const relation = (from: string, relationshipType: string, to: string) => ({
    spdxElementId: from,
    relationshipType,
    relatedSpdxElement: to,
  })
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: DOCUMENT,
    name,
    documentNamespace: `https://slipway.invalid/${encodeURIComponent(name)}/${id.replace(':', '-')}`,
    creationInfo: { created, creators: ['Organization: Slipway', 'Tool: slipway-package-databases'] },
    packages: [root, ...listed],
    relationships: [
      relation(DOCUMENT, 'DESCRIBES', ROOT),
      ...listed.map(({ SPDXID }) => relation(ROOT, 'CONTAINS', SPDXID)),
    ],
  }
}

const UNKNOWN = {
  downloadLocation: 'NOASSERTION',
  filesAnalyzed: false,
  licenseConcluded: 'NOASSERTION',
  licenseDeclared: 'NOASSERTION',
  copyrightText: 'NOASSERTION',
  supplier: 'NOASSERTION',
}
