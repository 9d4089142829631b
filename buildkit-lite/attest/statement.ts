import { canonicalJson } from '../image/canonical-json.ts'

/** What a statement speaks of: a thing with a digest. https://github.com/in-toto/attestation/blob/main/spec/v0.1.0/statement.md */
export interface Subject {
  name: string
  digest: Readonly<Record<string, string>>
}

export interface Predicate {
  predicateType: string
  /** What exports to directories and archives name it: `provenance.json`. */
  fileName: string
  /** Whether it is left out there. */
  inlineOnly?: boolean
  predicate: unknown
}

/** An in-toto statement; equal ones have equal bytes. */
export function composeStatement({ predicateType, predicate }: Predicate, subject: readonly Subject[]): Buffer {
  return Buffer.from(canonicalJson({ _type: 'https://in-toto.io/Statement/v0.1', predicateType, subject, predicate }))
}
