import { notAcceptable } from './api-error.ts'

/** How a client wants objects: as they are, as rows of a table, or only their metadata. */
export type View = 'object' | 'table' | 'metadata'

export interface Wanted {
  view: View
  contentType: string
}

/** The first form of the Accept header that we have. Protobuf is passed over: every client offers JSON behind it. */
export function negotiate(accept: string): Wanted {
  for (const entry of accept === '' ? ['*/*'] : accept.split(',')) {
    const [media = '', ...parameters] = entry.split(';').map((part) => part.trim())
    const as = parameters.find((parameter) => parameter.startsWith('as='))?.slice(3)
    const isJson = ['application/json', 'application/*', '*/*'].includes(media)
    const version = parameters.find((parameter) => parameter.startsWith('v='))
    if (!isJson) continue
    if (as === undefined) return { view: 'object', contentType: 'application/json' }
    if (version && version !== 'v=v1') continue
    if (as === 'Table') return { view: 'table', contentType: 'application/json' }
    if (as.startsWith('PartialObjectMetadata')) return { view: 'metadata', contentType: 'application/json' }
  }
  throw notAcceptable()
}
