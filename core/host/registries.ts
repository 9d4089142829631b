import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { messageOf, SlipwayError } from '#domain/errors'

const Host = z.string().regex(/^[^/\s]+$/, 'a registry is HOST or HOST:PORT, without a path')
const Mirror = z.string().regex(/^[^/\s]+(?:\/[^/\s]+)*$/, 'a mirror is HOST[:PORT][/PATH], without https://')

/** What an operator says of registries, by their HOST[:PORT]; Docker Hub is `docker.io`. */
const Registries = z.strictObject({
  /** Where names without a registry are looked for, in order; our own registry and docker.io if not given. */
  searchOrder: z.array(Host).optional(),
  /** Hosts that images are neither pulled from nor pushed to. */
  blocked: z.array(Host).default([]),
  /** Hosts that may be plain HTTP. */
  insecure: z.array(Host).default([]),
  /** Where a host's images are looked for before the host itself, in order. */
  mirrors: z.record(Host, z.array(Mirror)).default({}),
  credentials: z.record(Host, z.strictObject({ username: z.string(), password: z.string() })).default({}),
})
export type Registries = z.infer<typeof Registries> & {
  /** The file that said so, for messages. */
  file: string | null
}

/** What the file SLIPWAY_REGISTRIES names says of registries; nothing where there is no such file. */
export async function readRegistries(file: string | null): Promise<Registries> {
  if (file === null) return { ...Registries.parse({}), file }
  try {
    return { ...Registries.parse(JSON.parse(await readFile(file, 'utf8'))), file }
  } catch (cause) {
    throw new SlipwayError('invalid', `SLIPWAY_REGISTRIES ${file} is wrong: ${wordsOf(cause)}`, { cause })
  }
}

function wordsOf(cause: unknown): string {
  if (!(cause instanceof z.ZodError)) return messageOf(cause)
  return cause.issues.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': ')).join('; ')
}
