import type { Digest } from '#domain/digest'
import type { Predicate } from './attest/statement.ts'
import type { BuildRequest, BuildTools, BuiltImage, SolveEvent } from './contract.ts'
import type { SourceText } from './dockerfile/errors.ts'
import type { Plan, Platform } from './plan/plan.ts'
import type { RemoteSources } from './remote/remote-sources.ts'
import type { SolvedStep } from './solver/step-state.ts'

/** What builds of several platforms work with: each event says whose it is. */
export interface PlatformTools extends Omit<BuildTools, 'report'> {
  report: (event: SolveEvent, platform: Platform) => Promise<void>
}

/** One platform's graph, solved: everything that an image is written from, in whatever form. */
export interface BuiltGraph {
  request: BuildRequest
  platform: Platform
  plan: Plan
  solved: readonly SolvedStep[]
  source: SourceText
  /** What its steps took from elsewhere. */
  remote: RemoteSources
  /** The same for all platforms of one build. */
  invocationId: string
  startedAtMs: number
  finishedAtMs: number
  /** What was found out of the target for one form of the result, for the next. */
  memo: { sboms?: Promise<Predicate[]> }
}

export interface PlatformImage {
  platform: Platform
  image: BuiltImage
}

/** A manifest that belongs to one of the images and says how it was made or what is in it. */
export interface AttestationManifest {
  /** Of the image that it speaks of. */
  subject: Digest
  platform: Platform
  digest: Digest
  bytes: Buffer
  mediaType: string
  annotations: Readonly<Record<string, string>>
  /** Everything that the manifest names, all of it small. */
  blobs: readonly { digest: Digest; bytes: Buffer }[]
  statements: readonly AttestationStatement[]
}

/** An in-toto statement as it is stored. https://github.com/in-toto/attestation/tree/main/spec/v0.1.0 */
export interface AttestationStatement {
  predicateType: string
  /** What exports to directories and archives name it: `provenance.json`. */
  fileName: string
  /** Whether it is left out there. */
  inlineOnly?: boolean
  predicate: unknown
  bytes: Buffer
}

/** What a build makes and what its names point at: one image, or an index of several and of what is said of them. */
export interface BuiltResult {
  digest: Digest
  bytes: Buffer
  mediaType: string
  isIndex: boolean
  /** Of the descriptor that names the result in an archive or a report. */
  annotations: Readonly<Record<string, string>>
  /** In the order in which the platforms were given. */
  images: readonly [PlatformImage, ...PlatformImage[]]
  attestations: readonly AttestationManifest[]
  /** To write the same result in another form: see `writeResult`. */
  graphs: readonly BuiltGraph[]
  /** What was asked for and could not be had as asked, in words for the user. */
  notes: readonly string[]
}
