import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { messageOf } from '#domain/errors'
import { environmentValue } from '#host/config'
import { UsageError } from './exit-codes.ts'
import { readFields } from './flag-values.ts'

const MAX_SECRET_BYTES = 500 * 1024
const FIELDS = ['type', 'id', 'src', 'source', 'env']

/** `--secret`: what RUN may read from `/run/secrets/ID`, from a file or a variable. */
export async function readSecrets(flags: readonly string[]): Promise<Record<string, Buffer>> {
  const secrets: Record<string, Buffer> = {}
  for (const flag of flags) {
    const [id, value] = await readSecret(flag)
    if (value.length > MAX_SECRET_BYTES) {
      throw new UsageError(`--secret ${id} has ${value.length} bytes, expected ${MAX_SECRET_BYTES} at most`)
    }
    secrets[id] = value
  }
  return secrets
}

async function readSecret(flag: string): Promise<[string, Buffer]> {
  const fields = readFields(flag)
  const unknown = Object.keys(fields).find((name) => !FIELDS.includes(name))
  if (unknown !== undefined) throw new UsageError(`--secret "${flag}" has an unknown field "${unknown}"`)
  const { type } = fields
  if (type !== undefined && type !== 'file' && type !== 'env')
    throw new UsageError(`--secret "${flag}" is of type "${type}", expected file or env`)
  // A source of type env is a variable's name.
  const source = fields['src'] ?? fields['source']
  const path = type === 'env' ? undefined : source
  const id = fields['id'] || (path ? basename(path) : (fields['env'] ?? source))
  if (!id) throw new UsageError(`--secret "${flag}" has no id`)
  if (path !== undefined) return [id, await readSecretFile(id, path)]
  return await readVariable(id, fields['env'] ?? source, type === 'file')
}

/** Where nothing is said, the variable of the secret's own name, or else the file of that name. */
async function readVariable(id: string, named: string | undefined, isFile: boolean): Promise<[string, Buffer]> {
  const value = isFile ? undefined : environmentValue(named ?? id)
  if (value !== undefined) return [id, Buffer.from(value)]
  if (named !== undefined) throw new UsageError(`--secret ${id}: the environment has no ${named}`)
  const content = await readFile(id).catch(() => null)
  if (content) return [id, content]
  throw new UsageError(`--secret ${id}: the environment has no ${id}, and there is no file of that name`)
}

async function readSecretFile(id: string, path: string): Promise<Buffer> {
  return await readFile(path).catch((error: unknown) => {
    throw new UsageError(`--secret ${id} cannot be read: ${messageOf(error)}`)
  })
}
