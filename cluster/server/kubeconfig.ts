import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { stringify } from 'yaml'
import { writeFileAtomic } from '#host/files'
import type { ServerIdentity } from './pki.ts'

/** Writes the file kubectl reads, for its owner only. */
export async function writeKubeconfig(path: string, url: string, { caPem, token }: ServerIdentity): Promise<void> {
  const name = 'slipway'
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: url, 'certificate-authority-data': Buffer.from(caPem).toString('base64') } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: 'default' } }],
    'current-context': name,
  }
  await mkdir(dirname(path), { recursive: true })
  await writeFileAtomic(path, stringify(config), 0o600)
}
