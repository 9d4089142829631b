import { createHash, randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { messageOf, SlipwayError } from '#domain/errors'
import { openUseMarks } from '#host/disk-use'
import { writeFileAtomic } from '#host/files'
import { retry } from '#host/retry'
import { openSys } from '#host/sys'
import { sourcesLock } from '../disk/source-files.ts'
import { fileNameFor, type SharedWork } from '../solver/shared-work.ts'
import { createAddressRules, type RemoteAccess } from './address-rules.ts'
import { getRemote, type RemoteResponse } from './http-get.ts'
import { reapStore } from './reap-store.ts'

export interface DownloadRequest {
  url: string
  /** `sha256:…`, or null for whatever comes. */
  checksum: string | null
  /** The value of the header, from a secret. */
  authorization: string | null
  /** Builds of one scope may use what another one has fetched. */
  scope: string
}

export interface Downloaded {
  /** Where the bytes are kept. */
  path: string
  digest: string
  sizeBytes: number
  /** What the server said, or 0. */
  modifiedAtMs: number
}

export interface DownloadTools {
  /** Bodies are kept below it, for the next build to ask whether they are still the same. */
  stateDir: string
  sharedWork: SharedWork
  access: RemoteAccess
}

/** As the last answer described what it brought. */
const Kept = z.object({
  url: z.string(),
  digest: z.string(),
  sizeBytes: z.number(),
  modifiedAtMs: z.number(),
  etag: z.string().nullable(),
  lastModified: z.string().nullable(),
})
type Kept = z.infer<typeof Kept>

const MAX_BODY_BYTES = 8 * 1024 ** 3
const MAX_DURATION_MS = 60 * 60_000
const BACKOFF = { attempts: 3, firstDelayMs: 300, maxDelayMs: 3000 }
/** What is kept of all downloads together. */
const MAX_STORE_BYTES = 16 * 1024 ** 3
const RECORD = 'record.json'

export function downloadsDir(stateDir: string): string {
  return join(stateDir, 'downloads')
}

/**
 * The body behind a URL, on disk. What is kept from before is asked for again with its ETag and time; a server that
 * knows neither sends it anew. Builds that want the same at once share one download.
 */
export async function download(
  request: DownloadRequest,
  tools: DownloadTools,
  signal: AbortSignal,
): Promise<Downloaded> {
  const { url, authorization, scope, checksum } = request
  const place = join(downloadsDir(tools.stateDir), fileNameFor(scope, url, authorization ?? ''))
  const work = async (signal: AbortSignal): Promise<Downloaded> => {
    const kept = await readKept(place)
    const limited = AbortSignal.any([signal, AbortSignal.timeout(MAX_DURATION_MS)])
    const found = kept && kept.digest === checksum ? kept : await fetchAnew(request, { place, kept, tools }, limited)
    if (checksum !== null && found.digest !== checksum)
      throw new SlipwayError('step-failed', `${url}: digest mismatch ${found.digest}: expected ${checksum}`)
    const path = bodyPath(place, found.digest)
    // Whoever collects what nobody uses may have taken it since.
    if (!(await markUse(place, path))) return await work(signal)
    return { path, digest: found.digest, sizeBytes: found.sizeBytes, modifiedAtMs: found.modifiedAtMs }
  }
  return await tools.sharedWork.share(`download ${place} ${checksum}`, work, signal)
}

async function fetchAnew(
  request: DownloadRequest,
  { place, kept, tools }: { place: string; kept: Kept | null; tools: DownloadTools },
  signal: AbortSignal,
): Promise<Kept> {
  const found = await retry(
    async () => await fetchOnce(request, { place, kept, tools }, signal),
    { ...BACKOFF, retryable: (error) => !(error instanceof SlipwayError) || error.kind === 'source-unavailable' },
    signal,
  ).catch((error: unknown) => {
    if (signal.aborted) throw signal.reason
    if (error instanceof SlipwayError) throw error
    throw new SlipwayError('source-unavailable', `${request.url} cannot be downloaded: ${reasonOf(error)}`, {
      cause: error,
    })
  })
  await writeFileAtomic(join(place, RECORD), JSON.stringify(found))
  await reapStore(downloadsDir(tools.stateDir), MAX_STORE_BYTES)
  return found
}

/** Node's errors of several addresses have no message of their own. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ')
  return messageOf(error)
}

async function fetchOnce(
  { url, authorization }: DownloadRequest,
  { place, kept, tools }: { place: string; kept: Kept | null; tools: DownloadTools },
  signal: AbortSignal,
): Promise<Kept> {
  do await mkdir(place, { recursive: true })
  while (!(await markUse(place, place)))
  const rules = createAddressRules(tools.access)
  const response = await getRemote({ url: new URL(url), headers: conditionsOf(kept), authorization }, rules, signal)
  if (kept && response.status === 304) {
    response.body.destroy()
    return kept
  }
  if (response.status < 200 || response.status >= 300) {
    response.body.destroy()
    throw badStatus(url, response)
  }
  const lastModified = response.headers['last-modified'] ?? null
  const parsed = lastModified === null ? 0 : Date.parse(lastModified)
  return {
    url,
    ...(await save(response, place, signal)),
    modifiedAtMs: Number.isNaN(parsed) ? 0 : parsed,
    etag: response.headers.etag ?? null,
    lastModified,
  }
}

function conditionsOf(kept: Kept | null): Record<string, string> {
  const headers: Record<string, string> = {}
  if (kept?.etag) headers['if-none-match'] = kept.etag
  if (kept?.lastModified) headers['if-modified-since'] = kept.lastModified
  return headers
}

function badStatus(url: string, { status, statusText, url: at }: RemoteResponse): SlipwayError {
  const where = at.href === new URL(url).href ? url : `${url} (redirected to ${at.href})`
  const kind = status >= 500 || status === 429 ? 'source-unavailable' : 'step-failed'
  return new SlipwayError(kind, `${where}: invalid response status ${status} ${statusText}, expected 200`)
}

/** Streams the body to its place; it gets its name when it is complete. */
async function save(
  response: RemoteResponse,
  place: string,
  signal: AbortSignal,
): Promise<Pick<Kept, 'digest' | 'sizeBytes'>> {
  const temporary = join(place, `new-${randomBytes(6).toString('hex')}`)
  const hash = createHash('sha256')
  let sizeBytes = 0
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      sizeBytes += chunk.length
      hash.update(chunk)
      if (sizeBytes > MAX_BODY_BYTES) done(tooLarge(response.url))
      else done(null, chunk)
    },
  })
  try {
    await pipeline(response.body, measure, createWriteStream(temporary, { flags: 'wx', mode: 0o600 }), { signal })
    const digest = `sha256:${hash.digest('hex')}`
    await rename(temporary, bodyPath(place, digest))
    return { digest, sizeBytes }
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

function tooLarge(url: URL): SlipwayError {
  return new SlipwayError(
    'step-failed',
    `${url.href} has more than ${MAX_BODY_BYTES / 1024 ** 3} GiB, the most allowed`,
  )
}

function bodyPath(place: string, digest: string): string {
  return join(place, digest.replace(':', '-'))
}

/** The last download's record, if its body is still there. */
async function readKept(place: string): Promise<Kept | null> {
  try {
    const kept = Kept.parse(JSON.parse(await readFile(join(place, RECORD), 'utf8')))
    const { size } = await stat(bodyPath(place, kept.digest))
    return size === kept.sizeBytes ? kept : null
  } catch {
    // Whatever is wrong with what is kept, it can be fetched again.
    return null
  }
}

/** False where it is gone. */
async function markUse(place: string, path: string): Promise<boolean> {
  return await (await openUseMarks(openSys(), sourcesLock(dirname(place)))).use(path)
}
