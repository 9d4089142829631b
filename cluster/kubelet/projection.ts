import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { SlipwayError } from '#domain/errors'
import type { ObjectStore } from '../objects.ts'
import type { Volume } from '../pod-kinds.ts'

/** Files a volume shows, by their relative path. */
export type Projection = ReadonlyMap<string, { bytes: Buffer; mode: number }>

type Objects = Pick<ObjectStore, 'get'>

/** The files of a ConfigMap or Secret volume. Fails with kind `not-found` where what it names is missing and not optional. */
export function projectVolume(volume: Volume, namespace: string, objects: Objects): Projection {
  const { configMap, secret } = volume
  if (configMap) {
    const name = configMap.name ?? ''
    const found = objects.get('ConfigMap', namespace, name)
    if (!found && !configMap.optional) throw new SlipwayError('not-found', `configmap "${name}" not found`)
    return project(
      { ...encode(found?.data, 'utf8'), ...encode(found?.binaryData, 'base64') },
      { ...configMap, what: `configmap "${name}"` },
    )
  }
  const name = secret?.secretName ?? ''
  const found = objects.get('Secret', namespace, name)
  if (!found && !secret?.optional) throw new SlipwayError('not-found', `secret "${name}" not found`)
  return project(encode(found?.data, 'base64'), { ...secret, what: `secret "${name}"` })
}

function encode(data: Record<string, string> | undefined, encoding: 'utf8' | 'base64'): Record<string, Buffer> {
  return Object.fromEntries(Object.entries(data ?? {}).map(([key, text]) => [key, Buffer.from(text, encoding)]))
}

function project(
  data: Readonly<Record<string, Buffer>>,
  shape: {
    items?: { key: string; path: string; mode?: number }[]
    defaultMode?: number
    optional?: boolean
    what: string
  },
): Projection {
  const items: { key: string; path: string; mode?: number }[] =
    shape.items ?? Object.keys(data).map((key) => ({ key, path: key }))
  const files = new Map<string, { bytes: Buffer; mode: number }>()
  for (const { key, path, mode } of items) {
    const bytes = data[key]
    if (!bytes && shape.optional) continue
    if (!bytes) throw new SlipwayError('not-found', `${shape.what} has no key ${key}`)
    if (path.startsWith('/') || path.split('/').includes('..'))
      throw new SlipwayError('invalid', `path ${path} of ${shape.what} leaves the volume`)
    files.set(path, { bytes, mode: mode ?? shape.defaultMode ?? 0o644 })
  }
  return files
}

/**
 * Writes the files so that a reader sees all the old ones or all the new ones: they lie in a directory of their own,
 * `..data` points to it, and every name in the volume points through `..data`.
 */
export async function writeProjection(dir: string, projection: Projection): Promise<void> {
  const version = `..${new Date().toISOString().replace(/\D/g, '_')}${randomBytes(4).toString('hex')}`
  await mkdir(join(dir, version), { recursive: true, mode: 0o755 })
  for (const [path, { bytes, mode }] of projection) {
    const target = join(dir, version, path)
    await mkdir(dirname(target), { recursive: true, mode: 0o755 })
    await writeFile(target, bytes)
    await chmod(target, mode)
  }
  const previous = await readlink(join(dir, '..data')).catch(() => null)
  await symlink(version, join(dir, '..data_tmp'))
  await rename(join(dir, '..data_tmp'), join(dir, '..data'))
  const names = new Set([...projection.keys()].map((path) => path.split('/', 1)[0] ?? path))
  for (const name of await readdir(dir))
    if (!name.startsWith('..') && !names.has(name)) await rm(join(dir, name), { force: true })
  for (const name of names) await symlink(join('..data', name), join(dir, name)).catch(ignoreExisting)
  if (previous) await rm(join(dir, previous), { recursive: true, force: true })
}

function ignoreExisting(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
}
