import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SlipwayError } from '#domain/errors'
import type { Store } from '#store/contract'

/** Makes the token in `DATA/admin-token` valid; the file is the truth of it, and is made where there is none. */
export async function adoptAdminToken(store: Store, dataDir: string): Promise<void> {
  const file = join(dataDir, 'admin-token')
  const fresh = `slip_${randomBytes(24).toString('base64url')}\n`
  await writeFile(file, fresh, { flag: 'wx', mode: 0o600 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  const token = (await readFile(file, 'utf8')).trim()
  if (token.length < 16)
    throw new SlipwayError('invalid', `${file} holds ${token.length} characters, expected at least 16`)
  await store.tokens.adopt(token, { kind: 'admin' }, 'admin')
}
