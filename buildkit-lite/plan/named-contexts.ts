import { formatImageReference, parseImageReference } from '#domain/image-reference'
import { SyntaxFault } from '../dockerfile/errors.ts'
import type { ImageResolver, Platform } from './plan.ts'
import { formatPlatform, normalisePlatform, parsePlatform } from './platform.ts'

/** A named context as the planner sees it: its files stay where they are. */
export type PlannedContext =
  | { kind: 'context' }
  | { kind: 'scratch' }
  | { kind: 'image'; reference: string; resolver?: ImageResolver }

/** The contexts of a build by the names that mean them, of which an image has several: `alpine`, `alpine:latest`. */
export class NamedContexts {
  readonly #byName = new Map<string, { key: string; context: PlannedContext }>()

  constructor(contexts: Readonly<Record<string, PlannedContext>>) {
    for (const [key, context] of Object.entries(contexts)) this.#byName.set(spellKey(key), { key, context })
  }

  /** The context for this platform, `NAME::os/architecture`, or else the one for all of them. */
  find(name: string, platform: Platform): { key: string; context: PlannedContext } | null {
    const lower = name.toLowerCase()
    // These two always mean themselves.
    if (this.#byName.size === 0 || lower === 'scratch' || lower === 'context') return null
    const spelled = spellName(name)
    const own = `${spelled}::${formatPlatform(normalisePlatform(platform))}`
    return this.#byName.get(own) ?? this.#byName.get(spelled) ?? null
  }
}

function spellKey(key: string): string {
  const [, name = key, platform] = /^(.*?)::(.+)$/.exec(key) ?? []
  const spelled = spellName(name.toLowerCase())
  return platform === undefined ? spelled : `${spelled}::${spellPlatform(platform)}`
}

function spellPlatform(text: string): string {
  try {
    return formatPlatform(parsePlatform(text, { os: 'linux', architecture: '' }))
  } catch (error) {
    // It names no platform that is ever asked for.
    if (error instanceof SyntaxFault) return text
    throw error
  }
}

/** One spelling for all names of an image, which has no capitals. Stages ask by their names in small letters. */
function spellName(name: string): string {
  try {
    return formatImageReference(parseImageReference(name))
  } catch {
    return name
  }
}
