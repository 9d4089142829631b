import { posix } from 'node:path'
import type { HistoryEntry, ImageConfig, RuntimeConfig } from '../image/config.ts'
import type { FileSystem, PlannedHistory, Platform, ResolvedImage } from './plan.ts'

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** What a stage has become so far: each instruction changes it a little. */
export interface StageState {
  platform: Platform
  fileSystem: FileSystem
  /** Complete but for `created`, `history` and `rootfs`. */
  image: ImageConfig
  config: RuntimeConfig
  history: PlannedHistory[]
  /** ENV and ARG together: what expansion and RUN see. The last writer of a name wins. */
  env: Map<string, string>
  /** ARGs in scope, in the order of their declarations. */
  args: { name: string; value: string | null }[]
  /** Whether this stage itself has a CMD: ENTRYPOINT then leaves it. */
  hasCommand: boolean
}

/** The state of `FROM scratch`. */
export function scratchState(platform: Platform): StageState {
  const { os, architecture, variant } = platform
  const image = { architecture, os, ...(variant ? { variant } : {}), rootfs: NO_LAYERS }
  return newState({ platform, fileSystem: null, image, config: { WorkingDir: '/' }, history: [], base: null })
}

/** The state of `FROM image`. */
export function imageState(image: ResolvedImage, fileSystem: FileSystem, platform: Platform): StageState {
  const { created: _created, history, config, rootfs: _rootfs, ...rest } = structuredClone(image.config)
  return newState({
    platform,
    fileSystem,
    image: { ...rest, rootfs: NO_LAYERS },
    config: config ?? {},
    history: (history ?? []).map((entry) => ({ entry, step: null })),
    base: null,
  })
}

/** The state of `FROM stage`: ARGs of the parent stay in scope, but its ENV is what the image says. */
export function childState(parent: StageState): StageState {
  return newState({
    platform: parent.platform,
    fileSystem: parent.fileSystem,
    image: structuredClone(parent.image),
    config: structuredClone(parent.config),
    history: [...parent.history],
    base: parent,
  })
}

const NO_LAYERS: ImageConfig['rootfs'] = { type: 'layers', diff_ids: [] }

function newState(
  start: Pick<StageState, 'platform' | 'fileSystem' | 'image' | 'config' | 'history'> & { base: StageState | null },
): StageState {
  const { base, ...rest } = start
  const state: StageState = {
    ...rest,
    env: new Map(base?.env),
    args: [...(base?.args ?? [])],
    hasCommand: false,
  }
  const { WorkingDir, Env } = rest.config
  if (WorkingDir) rest.config.WorkingDir = joinWorkingDir('/', WorkingDir)
  const env = Env ?? []
  rest.config.Env = env.some((entry) => entry.startsWith('PATH=')) ? env : [...env, `PATH=${DEFAULT_PATH}`]
  for (const entry of rest.config.Env) {
    const { name, value } = splitEnv(entry)
    setVariable(state, name, value)
  }
  return state
}

function splitEnv(entry: string): { name: string; value: string } {
  const equals = entry.indexOf('=')
  return equals < 0 ? { name: entry, value: '' } : { name: entry.slice(0, equals), value: entry.slice(equals + 1) }
}

/** An absolute path stays as written; any other is joined to the current directory and cleaned. */
export function joinWorkingDir(current: string | undefined, path: string): string {
  if (path.startsWith('/')) return path
  return path === '' ? current || '/' : posix.resolve('/', current || '/', path)
}

/** Sets a variable as the newest one: order is by the last writer. */
export function setVariable(state: StageState, name: string, value: string): void {
  state.env.delete(name)
  state.env.set(name, value)
}

/** Sets a variable of the image: a known name keeps its place. */
export function setImageVariable(state: StageState, name: string, value: string): void {
  const env = [...(state.config.Env ?? [])]
  const at = env.findIndex((entry) => splitEnv(entry).name === name)
  env.splice(at < 0 ? env.length : at, at < 0 ? 0 : 1, `${name}=${value}`)
  state.config.Env = env
  setVariable(state, name, value)
}

/** Adds an entry of the image's history; `step` is the step that made its layer, null where it has none. */
export function addHistory(state: StageState, createdBy: string, step: number | null): void {
  const entry: HistoryEntry = { created_by: createdBy, comment: 'buildkit.dockerfile.v0' }
  if (step === null) entry.empty_layer = true
  state.history.push({ entry, step })
}
