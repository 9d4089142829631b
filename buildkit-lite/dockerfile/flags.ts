import { SyntaxFault, suggest } from './errors.ts'

type FlagType = 'text' | 'boolean' | 'list'

/** The `--name=value` words of one instruction, checked against those it knows. */
export class Flags {
  readonly #values = new Map<string, string[]>()
  readonly #types: Readonly<Record<string, FlagType>>

  constructor(words: readonly string[], types: Readonly<Record<string, FlagType>>) {
    this.#types = types
    for (const word of words) this.#add(word)
  }

  #add(word: string): void {
    const equals = word.indexOf('=')
    const name = word.slice(2, equals < 0 ? undefined : equals)
    const type = Object.hasOwn(this.#types, name) ? this.#types[name] : undefined
    if (!type) throw new SyntaxFault(unknownFlag(name, Object.keys(this.#types)))
    const seen = this.#values.get(name)
    if (seen && type !== 'list') throw new SyntaxFault(`duplicate flag specified: ${name}`)
    const value = this.#valueOf(name, type, equals < 0 ? null : word.slice(equals + 1))
    if (seen) seen.push(value)
    else this.#values.set(name, [value])
  }

  #valueOf(name: string, type: FlagType, value: string | null): string {
    if (type !== 'boolean' || value === '') {
      if (value === null || type === 'boolean') throw new SyntaxFault(`missing a value on flag: --${name}`)
      return value
    }
    const lower = (value ?? 'true').toLowerCase()
    if (lower === 'true' || lower === 'false') return lower
    throw new SyntaxFault(`expecting boolean value for flag --${name}, not: ${value}`)
  }

  text(name: string): string | null {
    return this.#values.get(name)?.[0] ?? null
  }

  boolean(name: string): boolean | null {
    const value = this.text(name)
    return value === null ? null : value === 'true'
  }

  list(name: string): readonly string[] {
    return this.#values.get(name) ?? []
  }
}

/** For instructions that have no flags. */
export function refuseFlags(words: readonly string[]): void {
  const word = words[0]
  if (word !== undefined) throw new SyntaxFault(unknownFlag(word.slice(2).split('=', 1)[0] ?? '', []))
}

/** A near name, or all names where none is near. */
function unknownFlag(name: string, known: readonly string[]): string {
  const all = known.length === 0 ? ', the instruction has none' : `, expected one of --${known.join(', --')}`
  return `unknown flag: --${name}${suggest(name, known) || all}`
}
