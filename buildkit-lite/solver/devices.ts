import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { messageOf, SlipwayError } from '#domain/errors'
import type { ContainerDevice } from '#sandbox'
import type { RunOperation } from '../plan/plan.ts'
import type { Prepared } from './run-mounts.ts'

/** Where drivers describe their devices; the later directory counts. https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md */
const DIRECTORIES = ['/etc/cdi', '/var/run/cdi']

const Edits = z.object({
  env: z.array(z.string()).default([]),
  deviceNodes: z
    .array(z.object({ path: z.string(), hostPath: z.string().optional(), permissions: z.string().optional() }))
    .default([]),
  mounts: z
    .array(z.object({ hostPath: z.string(), containerPath: z.string(), options: z.array(z.string()).default([]) }))
    .default([]),
  hooks: z.array(z.unknown()).default([]),
  additionalGids: z.array(z.number().int()).default([]),
})
type Edits = z.infer<typeof Edits>

const Description = z.object({
  kind: z.string(),
  devices: z.array(z.object({ name: z.coerce.string(), containerEdits: Edits.default(Edits.parse({})) })),
  containerEdits: Edits.default(Edits.parse({})),
})
type Description = z.infer<typeof Description>

/** What a step gets for its `--device` flags. */
export interface StepDevices {
  env: readonly string[]
  devices: readonly ContainerDevice[]
  mounts: readonly Prepared[]
  gids: readonly number[]
}

const NONE: StepDevices = { env: [], devices: [], mounts: [], gids: [] }

/** Finds what a RUN's devices are. One that has to be there and is not fails the step; another is left out. */
export async function findDevices(
  { devices: wanted = [] }: RunOperation,
  directories: readonly string[] = DIRECTORIES,
): Promise<StepDevices> {
  if (wanted.length === 0) return NONE
  const known = (await Promise.all(directories.map(readDescriptions))).flat()
  const edits = wanted.flatMap(({ name, required }) => {
    const found = editsOf(name, known)
    if (found.length === 0 && required)
      throw new SlipwayError(
        'step-failed',
        `device ${name} was not found: no file in ${directories.join(' or ')} describes it`,
      )
    return found
  })
  return {
    env: edits.flatMap(({ env }) => env),
    devices: edits.flatMap(({ deviceNodes }) => deviceNodes.map(toDevice)),
    mounts: await Promise.all(edits.flatMap(({ mounts }) => mounts.map(toMount))),
    gids: edits.flatMap(({ additionalGids }) => additionalGids),
  }
}

/** `KIND=NAME`, `KIND=*` for all of a kind, or `KIND` for its first device. */
function editsOf(wanted: string, known: readonly Description[]): Edits[] {
  const equals = wanted.lastIndexOf('=')
  const kind = equals < 0 ? wanted : wanted.slice(0, equals)
  const name = equals < 0 ? null : wanted.slice(equals + 1)
  const described = known.findLast((one) => one.kind === kind && devicesOf(one, name).length > 0)
  if (!described) return []
  const edits = [described.containerEdits, ...devicesOf(described, name).map(({ containerEdits }) => containerEdits)]
  if (edits.some(({ hooks }) => hooks.length > 0))
    throw new SlipwayError('step-failed', `device ${wanted} needs hooks, which are not supported here`)
  return edits
}

function devicesOf({ devices }: Description, name: string | null): Description['devices'] {
  if (name === '*') return devices
  return name === null ? devices.slice(0, 1) : devices.filter((device) => device.name === name)
}

async function readDescriptions(directory: string): Promise<Description[]> {
  const names = await readdir(directory).catch(() => [])
  const files = names.filter((name) => /\.(json|ya?ml)$/.test(name)).sort()
  return await Promise.all(files.map((name) => readDescription(join(directory, name))))
}

async function readDescription(path: string): Promise<Description> {
  try {
    // JSON is YAML, too.
    return Description.parse(parse(await readFile(path, 'utf8')))
  } catch (error) {
    throw new SlipwayError('step-failed', `${path} describes no devices: ${messageOf(error)}`, { cause: error })
  }
}

function toDevice({ path, hostPath = path, permissions = 'rwm' }: Edits['deviceNodes'][number]): ContainerDevice {
  return { source: hostPath, target: path, permissions }
}

async function toMount({ hostPath, containerPath, options }: Edits['mounts'][number]): Promise<Prepared> {
  const stats = await stat(hostPath).catch((error: unknown) => {
    throw new SlipwayError('step-failed', `a device needs ${hostPath}: ${messageOf(error)}`, { cause: error })
  })
  return {
    mount: { kind: 'bind', source: hostPath, target: containerPath, readonly: options.includes('ro') },
    pointKind: stats.isDirectory() ? 'directory' : 'file',
  }
}
