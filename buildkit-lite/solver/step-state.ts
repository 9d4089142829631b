import { type Chain, EMPTY_CHAIN } from './chain.ts'

/** The image that a stage starts from. */
export interface BaseImage {
  /** As people call it: `debian:12`. */
  name: string
  lineage: string
}

/** What became of a step: the file system it makes. */
export interface SolvedStep {
  /** What its result is kept under; none for a base image. */
  keys: readonly string[]
  lineage: string
  base: BaseImage | null
  chain: Chain
  /** When its layer was made; null for a base image. */
  createdAtMs: number | null
}

/** In the place of a step whose result nobody asked for. */
export const NOT_SOLVED: SolvedStep = { keys: [], lineage: '', base: null, chain: EMPTY_CHAIN, createdAtMs: null }

/** How far a step is. */
export type StepState =
  | { kind: 'waiting' }
  | { kind: 'probing-cache' }
  | { kind: 'running'; missReason: string }
  | { kind: 'done'; cached: boolean; solved: SolvedStep }
  | { kind: 'failed'; error: unknown }
