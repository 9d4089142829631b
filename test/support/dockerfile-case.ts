import { readdir, readFile } from 'node:fs/promises'
import type { BuildRequest } from '#buildkit-lite'
import type { ListedEntry } from './image-listing.ts'
import type { FileRecipe } from './make-files.ts'

/** A directory of files by their names; a name that leads into another directory makes that too. */
export type Recipe = Readonly<Record<string, FileRecipe>>

/** `case.json`: what is built, besides the Dockerfile beside it. */
export interface DockerfileCase {
  title: string
  files: Recipe
  options?: {
    target?: string
    buildArgs?: Readonly<Record<string, string>>
    labels?: Readonly<Record<string, string>>
    /** Values by id. */
    secrets?: Readonly<Record<string, string>>
    /** Addresses by name, as `--add-host` has them. */
    hosts?: Readonly<Record<string, string>>
    network?: BuildRequest['network']
    /** Files of named contexts. */
    contexts?: Readonly<Record<string, Recipe>>
    /** Named contexts that are images, by reference. */
    images?: Readonly<Record<string, string>>
    shmSizeBytes?: number
    ulimits?: BuildRequest['run']['ulimits']
  }
  /** For a build that has to fail: a part of the message, and the marked line of the Dockerfile. */
  fails?: { message: string; line?: number }
}

/** `expected.json`: what the image of a build that succeeds has to be. */
export interface ExpectedImage {
  /** What differs from the base image, or everything where the image is not made on it. */
  rootfs: Readonly<Record<string, ListedEntry>>
  /** Paths of the base image that are gone; null where the image is not made on it. */
  removed: readonly string[] | null
  config: Readonly<Record<string, unknown>>
  author: string | null
  history: readonly HistoryLine[]
  layers: number
}

export interface HistoryLine {
  created_by: string
  comment?: string
  author?: string
  empty_layer?: boolean
}

const FOLDER = new URL('../fixtures/dockerfile-cases/', import.meta.url)

/** The names of all cases, which are those of their folders. */
export async function caseNames(): Promise<string[]> {
  const entries = await readdir(FOLDER, { withFileTypes: true })
  return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).toSorted()
}

export async function readCase(name: string): Promise<DockerfileCase & { dockerfile: string }> {
  const dockerfile = await readFile(new URL(`${name}/Dockerfile`, FOLDER), 'utf8')
  return { ...(await readJson<DockerfileCase>(`${name}/case.json`)), dockerfile }
}

export async function readExpected(name: string): Promise<ExpectedImage> {
  return await readJson<ExpectedImage>(`${name}/expected.json`)
}

async function readJson<T>(path: string): Promise<T> {
  return JSON.parse(await readFile(new URL(path, FOLDER), 'utf8')) as T
}

/** A config without what says nothing: builders write an empty list, null or no field at all. */
export function withoutEmpty(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => !isEmpty(value)))
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined || value === '') return true
  return typeof value === 'object' && Object.keys(value).length === 0
}
