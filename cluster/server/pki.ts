import { randomBytes, webcrypto } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

// First: the certificate library registers its parts through it.
import './reflect-metadata.ts'
import * as x509 from '@peculiar/x509'
import { writeFileAtomic } from '#host/files'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY_MS = 24 * 60 * 60 * 1000
const CA_LIFE_MS = 10 * 365 * DAY_MS
const SERVER_LIFE_MS = 365 * DAY_MS
/** A certificate with less than this left is made anew at start. */
const RENEWAL_MS = 30 * DAY_MS
/** Clocks of clients may be this much behind. */
const CLOCK_SKEW_MS = 60 * 60 * 1000

export interface ServerIdentity {
  caPem: string
  certPem: string
  keyPem: string
  /** What clients have to present. */
  token: string
}

/** Reads the CA, the server's certificate and the token below `directory`, and makes what is missing or expiring. */
export async function openIdentity(directory: string, host: string): Promise<ServerIdentity> {
  const pki = join(directory, 'pki')
  await mkdir(pki, { recursive: true, mode: 0o700 })
  const ca = (await readPair(pki, 'ca')) ?? (await makeCa(pki))
  const kept = await readPair(pki, 'server')
  const names = [...new Set(['127.0.0.1', 'localhost', host])]
  const isUsable = kept && (await isSignedFor(kept.certPem, ca.certPem, names))
  const server = isUsable ? kept : await makeServer(pki, ca, names)
  return { caPem: ca.certPem, ...server, token: await openToken(join(directory, 'token')) }
}

interface Pair {
  certPem: string
  keyPem: string
}

async function readPair(directory: string, name: string): Promise<Pair | null> {
  try {
    const certPem = await readFile(join(directory, `${name}.crt`), 'utf8')
    const keyPem = await readFile(join(directory, `${name}.key`), 'utf8')
    const isFresh = new x509.X509Certificate(certPem).notAfter.getTime() - Date.now() > RENEWAL_MS
    return isFresh ? { certPem, keyPem } : null
  } catch {
    // Unreadable is as good as missing: both are made anew.
    return null
  }
}

async function isSignedFor(certPem: string, caPem: string, names: string[]): Promise<boolean> {
  const certificate = new x509.X509Certificate(certPem)
  const ca = new x509.X509Certificate(caPem)
  const found = certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON() ?? []
  const has = (name: string) => found.some(({ value }) => value === name)
  return names.every(has) && (await certificate.verify({ publicKey: await ca.publicKey.export() }))
}

async function makeCa(directory: string): Promise<Pair> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomBytes(16).toString('hex'),
    name: 'CN=slipway-cluster-ca',
    ...validity(CA_LIFE_MS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return await writePair(directory, 'ca', certificate, keys.privateKey)
}

async function makeServer(directory: string, ca: Pair, names: string[]): Promise<Pair> {
  const issuer = new x509.X509Certificate(ca.certPem)
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const isAddress = (name: string) => /^[\d.]+$|:/.test(name)
  const alternatives = names.map((value) => ({ type: isAddress(value) ? ('ip' as const) : ('dns' as const), value }))
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomBytes(16).toString('hex'),
    subject: 'CN=slipway-cluster',
    issuer: issuer.subject,
    ...validity(SERVER_LIFE_MS),
    publicKey: keys.publicKey,
    signingKey: await importKey(ca.keyPem),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(alternatives),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  })
  return await writePair(directory, 'server', certificate, keys.privateKey)
}

function validity(lifeMs: number) {
  const now = Date.now()
  return { notBefore: new Date(now - CLOCK_SKEW_MS), notAfter: new Date(now + lifeMs) }
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const [der] = x509.PemConverter.decode(pem)
  return await webcrypto.subtle.importKey('pkcs8', der ?? new ArrayBuffer(0), ALGORITHM, true, ['sign'])
}

async function writePair(
  directory: string,
  name: string,
  certificate: x509.X509Certificate,
  key: webcrypto.CryptoKey,
): Promise<Pair> {
  const certPem = `${certificate.toString('pem')}\n`
  const keyPem = `${x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`
  await writeFileAtomic(join(directory, `${name}.key`), keyPem, 0o600)
  await writeFileAtomic(join(directory, `${name}.crt`), certPem, 0o600)
  return { certPem, keyPem }
}

/** Reads a random secret from its file, which is made if it is missing. */
export async function openToken(path: string): Promise<string> {
  const kept = await readFile(path, 'utf8').catch(() => '')
  if (kept.trim() !== '') return kept.trim()
  const token = randomBytes(32).toString('base64url')
  await writeFileAtomic(path, `${token}\n`, 0o600)
  return token
}
