import { createHash } from 'node:crypto'
import type { BuiltGraph } from '../built-result.ts'
import { EMPTY_CHAIN } from '../solver/chain.ts'
import { type LayerTools, materialise } from '../solver/layer-files.ts'
import { chainOf } from '../solver/target-chain.ts'
import { findPackages } from './find-packages.ts'
import type { FoundPackage } from './package.ts'
import type { Predicate } from './statement.ts'

const DOCUMENT = 'SPDXRef-DOCUMENT'
const ROOT = 'SPDXRef-DocumentRoot'

/** What an image holds, as an SPDX document. https://spdx.github.io/spdx-spec/v2.3/ */
export async function sbomOf(graph: BuiltGraph, tools: LayerTools, signal: AbortSignal): Promise<Predicate> {
  const chain = chainOf(graph)
  const key = chain.layers.length === 0 ? EMPTY_CHAIN.id : await materialise(tools, chain, signal)
  await using root = await tools.snapshots.view(key)
  const packages = await findPackages(root.rootDir, signal)
  const document = composeDocument(packages, { id: chain.id ?? 'empty', created: createdOf(graph) })
  return { predicateType: 'https://spdx.dev/Document', fileName: 'sbom.spdx.json', predicate: document }
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
  { id, created }: { id: string; created: string },
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
    name: 'sbom',
    documentNamespace: `https://slipway.invalid/sbom/${id.replace(':', '-')}`,
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
