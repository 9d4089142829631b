import type { ImageSettings } from '../contract.ts'

/** What Docker's media types cannot say turns OCI's on; what cannot be done is told. */
export function settle(
  settings: ImageSettings,
  sourceDateEpoch: number | null,
): { settings: ImageSettings; notes: string[] } {
  const notes: string[] = []
  const needsOci = [
    ...(settings.compression.kind === 'zstd' ? ['zstd'] : []),
    ...(settings.annotations.length > 0 ? ['annotations'] : []),
    ...(settings.provenance || settings.sbom ? ['attestations'] : []),
  ]
  const turnsOci = !settings.ociMediaTypes && needsOci.length > 0
  if (turnsOci) notes.push(`oci-mediatypes=false is ignored: Docker’s media types have no ${needsOci.join(' and ')}`)
  const rewriteTimestamp = settings.rewriteTimestamp && sourceDateEpoch !== null
  if (settings.rewriteTimestamp && !rewriteTimestamp)
    notes.push('rewrite-timestamp has no effect: give the time with --build-arg SOURCE_DATE_EPOCH=SECONDS')
  return { settings: { ...settings, rewriteTimestamp, ociMediaTypes: settings.ociMediaTypes || turnsOci }, notes }
}
