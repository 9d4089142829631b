import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { Layer } from '#domain/digest'
import { writeFileAtomic } from '#host/files'
import type { CachedStep, KeyComponent, StepCache } from '../contract.ts'

export const StoredStep = z.object({ layer: Layer, createdAtMs: z.number() })
const StoredPlace = z.array(z.object({ name: z.string(), digest: z.string() }))

/** A step cache in files: `steps/` by key, `places/` with the newest components of each instruction. */
export async function openFileStepCache(directory: string): Promise<StepCache> {
  await mkdir(join(directory, 'steps'), { recursive: true })
  await mkdir(join(directory, 'places'), { recursive: true })
  const fileOf = (kind: string, scope: string, name: string): string =>
    join(directory, kind, createHash('sha256').update(`${scope}\0${name}`).digest('hex'))
  return {
    get: async (scope, key) => await readAs<CachedStep>(StoredStep, fileOf('steps', scope, key)),
    put: async (scope, key, step, origin) => {
      await writeFileAtomic(fileOf('steps', scope, key), JSON.stringify(step))
      await writeFileAtomic(fileOf('places', scope, origin.place), JSON.stringify(origin.components))
    },
    nearest: async (scope, place) => await readAs<readonly KeyComponent[]>(StoredPlace, fileOf('places', scope, place)),
  }
}

/** The parsed file; null where there is none, or none that can be understood any more. */
async function readAs<T>(schema: z.ZodType, path: string): Promise<T | null> {
  try {
    const parsed = schema.safeParse(JSON.parse(await readFile(path, 'utf8')))
    return parsed.success ? (parsed.data as T) : null
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return null
    throw error
  }
}
