import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { messageOf, SlipwayError } from '#domain/errors'

const Registries = z.strictObject({
  /** Where names without a registry are looked for, in order; our own registry and docker.io if not given. */
  searchOrder: z.array(z.string().min(1)).optional(),
  /** Hosts that may be plain HTTP. */
  insecure: z.array(z.string().min(1)).default([]),
  credentials: z.record(z.string(), z.object({ username: z.string(), password: z.string() })).default({}),
})
export type Registries = z.infer<typeof Registries>

/** What the file SLIPWAY_REGISTRIES names says of registries; nothing where there is no such file. */
export async function readRegistries(file: string | null): Promise<Registries> {
  if (file === null) return Registries.parse({})
  try {
    return Registries.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch (cause) {
    throw new SlipwayError('invalid', `SLIPWAY_REGISTRIES ${file} is wrong: ${messageOf(cause)}`, { cause })
  }
}
