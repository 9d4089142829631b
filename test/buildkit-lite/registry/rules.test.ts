import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { parseChallenge } from '../../../buildkit-lite/registry/challenge.ts'
import { dockerCredentials } from '../../../buildkit-lite/registry/docker-credentials.ts'
import { endpointOf, mayAuthenticate, mayLead } from '../../../buildkit-lite/registry/endpoint.ts'
import { formatPlatform } from '../../../buildkit-lite/registry/platform.ts'

test.for([
  ['docker.io', 'https://registry-1.docker.io/'],
  ['ghcr.io', 'https://ghcr.io/'],
  ['127.0.0.1:5000', 'http://127.0.0.1:5000/'],
  ['localhost', 'http://localhost/'],
  ['plain.example:80', 'http://plain.example/'],
])('the API of %s is at %s', ([registry, url]) => {
  expect(endpointOf(registry!, ['plain.example:80']).href).toBe(url)
})

test.for<[string, string, boolean, boolean]>([
  ['https://registry-1.docker.io', 'https://auth.docker.io/token', true, true],
  ['https://registry.example.com', 'https://registry.example.com/token', true, true],
  ['https://registry.example.com', 'http://registry.example.com/token', false, false],
  ['https://registry.example.com', 'https://example.org/token', true, false],
  ['https://registry.example.com', 'https://127.0.0.1/token', false, false],
  ['https://registry.example.com', 'https://169.254.169.254/latest', false, false],
  ['https://registry.example.com', 'https://[::1]/', false, false],
  ['https://registry.example.com', 'https://[::ffff:127.0.0.1]/', false, false],
  ['https://registry.example.com', 'https://localhost/', false, false],
  ['https://registry.example.com', 'file:///etc/passwd', false, false],
  ['http://10.0.0.1:5000', 'http://10.0.0.2:5000/', true, false],
  ['http://127.0.0.1:3000', 'http://localhost:3000/token', true, true],
  ['http://127.0.0.1:3000', 'http://127.0.0.1:3001/token', true, false],
])('%s may lead to %s: %s, with credentials: %s', ([from, to, lead, authenticate]) => {
  expect(mayLead(new URL(from), new URL(to))).toBe(lead)
  expect(mayAuthenticate(new URL(from), new URL(to))).toBe(authenticate)
})

test.for([
  ['Bearer realm="https://a/t",service="s, t"', { scheme: 'bearer', realm: 'https://a/t', service: 's, t' }],
  ['basic realm=x', { scheme: 'basic', realm: 'x', service: null }],
  ['Negotiate', null],
  [undefined, null],
] as const)('the challenge %j is understood', ([header, expected]) => {
  expect(parseChallenge(header)).toEqual(expected)
})

test.for([
  [{ os: 'linux', architecture: 'x86_64', variant: 'v1' }, 'linux/amd64'],
  [{ os: 'linux', architecture: 'amd64', variant: 'v3' }, 'linux/amd64/v3'],
  [{ os: 'Linux', architecture: 'aarch64', variant: '8' }, 'linux/arm64'],
  [{ os: 'linux', architecture: 'arm', variant: 'v6' }, 'linux/arm/v6'],
  [{ os: 'linux', architecture: 'arm' }, 'linux/arm'],
] as const)('%j is %s', ([platform, text]) => {
  expect(formatPlatform(platform)).toBe(text)
})

test('credentials are read from the file that docker login writes', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'slip-auth-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  const path = join(dir, 'config.json')
  expect((await dockerCredentials(path))('docker.io')).toBe(null)
  const auth = Buffer.from('user:pass:word').toString('base64')
  const auths = {
    'https://index.docker.io/v1/': { auth },
    'ghcr.io': { username: 'u', password: 'p' },
    'helper.example': {},
  }
  await writeFile(path, JSON.stringify({ auths, credsStore: 'x' }))
  const credentialsFor = await dockerCredentials(path)
  expect(credentialsFor('docker.io')).toEqual({ username: 'user', password: 'pass:word' })
  expect(credentialsFor('ghcr.io')).toEqual({ username: 'u', password: 'p' })
  expect(credentialsFor('helper.example')).toBe(null)
  await writeFile(path, 'no json')
  await expect(dockerCredentials(path)).rejects.toMatchObject({ kind: 'invalid' })
})
