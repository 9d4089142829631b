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
  /** What the current instruction has changed in `env`: the values before it. */
  overwritten: Map<string, string | undefined>
  /** Where the variables stand in `config.Env`. */
  envPlaces: Map<string, number>
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
    history: [...(history ?? []), ...missingHistory(image)].map((entry) => ({ entry, step: null })),
    base: null,
  })
}

/** An entry for each layer of an image whose own history has fewer: readers expect one a layer. */
function missingHistory({ config, layers }: ResolvedImage): HistoryEntry[] {
  const known = (config.history ?? []).filter((entry) => !entry.empty_layer).length
  const created = config.created ? { created: config.created } : {}
  return layers.slice(known).map(() => ({ ...created, comment: 'buildkit.exporter.image.v0' }))
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
    overwritten: new Map(),
    envPlaces: new Map(),
    args: [...(base?.args ?? [])],
    hasCommand: false,
  }
  const { WorkingDir, Env } = rest.config
  if (WorkingDir) rest.config.WorkingDir = joinWorkingDir('/', WorkingDir)
  const env = Env ?? []
  rest.config.Env = env.some((entry) => entry.startsWith('PATH=')) ? env : [...env, `PATH=${DEFAULT_PATH}`]
  for (const [place, entry] of rest.config.Env.entries()) {
    const { name, value } = splitEnv(entry)
    if (!state.envPlaces.has(name)) state.envPlaces.set(name, place)
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

/** The variables as they are now, also when the instruction that begins here has changed some. */
export function variablesBefore(state: StageState): Pick<ReadonlyMap<string, string>, 'get' | 'keys'> {
  const { env } = state
  const overwritten = new Map<string, string | undefined>()
  state.overwritten = overwritten
  return {
    get: (name) => (overwritten.has(name) ? overwritten.get(name) : env.get(name)),
    keys: () => env.keys(),
  }
}

/** Sets a variable as the newest one: order is by the last writer. */
export function setVariable(state: StageState, name: string, value: string): void {
  if (!state.overwritten.has(name)) state.overwritten.set(name, state.env.get(name))
  state.env.delete(name)
  state.env.set(name, value)
}

/** Sets a variable of the image: a known name keeps its place. */
export function setImageVariable(state: StageState, name: string, value: string): void {
  state.config.Env ??= []
  const place = state.envPlaces.get(name) ?? state.config.Env.length
  state.envPlaces.set(name, place)
  state.config.Env[place] = `${name}=${value}`
  setVariable(state, name, value)
}

/** Adds an entry of the image's history; `step` is the step that made its layer, null where it has none. */
export function addHistory(state: StageState, createdBy: string, step: number | null): void {
  const entry: HistoryEntry = { created_by: createdBy, comment: 'buildkit.dockerfile.v0' }
  if (step === null) entry.empty_layer = true
  state.history.push({ entry, step })
}
