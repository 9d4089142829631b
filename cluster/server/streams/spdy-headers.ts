import { constants, createDeflate, createInflate, type Deflate, type Inflate } from 'node:zlib'
import { SlipwayError } from '#domain/errors'

/** What both ends know beforehand of headers, https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/#TOC-2.6.10.1-Compression */
const WORDS = [
  'options,head,post,put,delete,trace,accept,accept-charset,accept-encoding,accept-language,accept-ranges,age',
  'allow,authorization,cache-control,connection,content-base,content-encoding,content-language,content-length',
  'content-location,content-md5,content-range,content-type,date,etag,expect,expires,from,host,if-match',
  'if-modified-since,if-none-match,if-range,if-unmodified-since,last-modified,location,max-forwards,pragma',
  'proxy-authenticate,proxy-authorization,range,referer,retry-after,server,te,trailer,transfer-encoding,upgrade',
  'user-agent,vary,via,warning,www-authenticate,method,get,status,200 OK,version,HTTP/1.1,url,public,set-cookie',
  'keep-alive,origin',
].flatMap((line) => line.split(','))
const CODES = '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505'
const TEXT = [
  '203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized',
  '403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable',
  'Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT',
  'chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,',
  'text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.',
]

function withLength(text: string): Buffer {
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

const DICTIONARY = Buffer.concat([...WORDS.map(withLength), Buffer.from(CODES + TEXT.join(''))])

/** Headers of streams are small; a block that unpacks to more is an attack. */
const MOST_BYTES = 64 * 1024

export type SpdyHeaders = ReadonlyMap<string, string>

/** Both directions of one connection: every block is packed with what went before it. */
export class HeaderCodec implements Disposable {
  readonly #inflate: Inflate = createInflate({ dictionary: DICTIONARY })
  readonly #deflate: Deflate = createDeflate({ dictionary: DICTIONARY })
  #unpacked: Buffer[] = []
  #packed: Buffer[] = []

  constructor() {
    this.#inflate.on('data', (chunk: Buffer) => this.#unpacked.push(chunk))
    this.#deflate.on('data', (chunk: Buffer) => this.#packed.push(chunk))
    // Each use hears of its own error.
    this.#inflate.on('error', () => {})
    this.#deflate.on('error', () => {})
  }

  async decode(block: Buffer): Promise<SpdyHeaders> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#inflate.once('error', reject)
    this.#inflate.write(block, (error) => (error ? reject(error) : resolve()))
    await promise.finally(() => this.#inflate.off('error', reject))
    const bytes = Buffer.concat(this.#unpacked)
    this.#unpacked = []
    if (bytes.length > MOST_BYTES)
      throw new SlipwayError('too-large', `Headers of a stream unpack to ${bytes.length} bytes`)
    return parseHeaders(bytes)
  }

  async encode(headers: SpdyHeaders): Promise<Buffer> {
    const count = Buffer.alloc(4)
    count.writeUInt32BE(headers.size)
    this.#deflate.write(Buffer.concat([count, ...[...headers].flat().map(withLength)]))
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#deflate.flush(constants.Z_SYNC_FLUSH, resolve)
    await promise
    const block = Buffer.concat(this.#packed)
    this.#packed = []
    return block
  }

  [Symbol.dispose](): void {
    this.#inflate.destroy()
    this.#deflate.destroy()
  }
}

function parseHeaders(bytes: Buffer): SpdyHeaders {
  const headers = new Map<string, string>()
  let at = 0
  const number = () => {
    const value = bytes.readUInt32BE(at)
    at += 4
    return value
  }
  const text = () => {
    const length = number()
    at += length
    return bytes.toString('utf8', at - length, at)
  }
  const count = number()
  for (let index = 0; index < count && at < bytes.length; index++) {
    const name = text().toLowerCase()
    headers.set(name, text())
  }
  return headers
}
