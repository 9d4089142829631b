import {
  appendFileSync,
  chmodSync,
  closeSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  type Stats,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { S_IF, type Sys } from '#host/sys'

/** Numbers that a seed decides: a failure can be had again. */
export function createRandom(seed: number) {
  let state = seed >>> 0
  const next = (): number => {
    // https://github.com/bryc/code/blob/master/jshash/PRNGs.md#mulberry32
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number): number => Math.floor(next() * limit)
  return { below, pick: <T>(from: readonly T[]): T | undefined => from[below(from.length)] }
}

/** Bytes as latin1: plain, not UTF-8, long, with spaces and line ends, and such as look like something else. */
const NAMES = [
  'a',
  'b',
  'c',
  'd',
  'e',
  'caf\xe9',
  'gr\xc3\xbc\xc3\x9fe',
  'two words',
  'line\nend',
  '-rf',
  'n'.repeat(130),
  'm'.repeat(250),
]
const TIMES_S = [0, 1, 1_700_000_000, -5, 9_000_000_000, 1_600_000_000]
const IDS = [0, 33, 1000, 65_534, 3_000_000]
const MODES = [0o644, 0o600, 0, 0o755, 0o4755, 0o2755, 0o1777]
/** cap_net_raw=ep as version 2 of the format. */
const CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex')

interface Found {
  path: Buffer
  stats: Stats
}

/** Does random things to the files below a directory, as programs in a container would. Needs root. */
export class RandomChanges {
  readonly #root: string
  readonly #sys: Sys
  readonly #random: ReturnType<typeof createRandom>

  constructor(root: string, sys: Sys, random: ReturnType<typeof createRandom>) {
    this.#root = root
    this.#sys = sys
    this.#random = random
  }

  run(count: number): void {
    const kinds = [
      () => this.#create(),
      () => this.#create(),
      () => this.#create(),
      () => this.#makeDirectory(),
      () => this.#makeDirectory(),
      () => this.#withFile(({ path }) => appendFileSync(path, `more ${this.#random.below(1e9)}`)),
      () => this.#withFile(({ path }) => this.#makeSparse(path)),
      () => this.#withFile(({ path }) => linkSync(path, this.#newPath())),
      () => this.#withFile(({ path }) => this.#sys.lsetxattr(path, 'security.capability', CAPABILITY)),
      () => this.#withAny(({ path, stats }) => !stats.isSymbolicLink() && chmodSync(path, this.#mode(stats))),
      () => this.#withAny(({ path }) => lchownSync(path, this.#of(IDS), this.#of(IDS))),
      () => this.#withAny(({ path, stats }) => !stats.isDirectory() && renameSync(path, this.#newPath())),
      () => this.#withAny(({ path }) => rmSync(path, { recursive: true })),
      () => this.#withAny(({ path }) => this.#setTime(path)),
      () => this.#replace(),
      () => this.#replace(),
      () => symlinkSync(Buffer.from(this.#of(NAMES), 'latin1'), this.#newPath()),
      () => this.#sys.mkfifo(this.#newPath(), 0o640),
      () =>
        this.#sys.mknod(this.#newPath(), this.#of([S_IF.CHR, S_IF.BLK]) | 0o600, this.#of([0x103, 0x801, 0x10_0305])),
    ]
    for (let done = 0; done < count; done++) this.#of(kinds)()
  }

  #create(): void {
    const path = this.#newPath()
    writeFileSync(path, `${this.#random.below(1e9)}`.repeat(this.#random.below(3000)))
    if (this.#random.below(3) === 0) this.#setTime(path)
  }

  #makeDirectory(): void {
    mkdirSync(this.#newPath())
  }

  /** Something else under the same name: what was there must not shine through. */
  #replace(): void {
    this.#withAny(({ path, stats }) => {
      rmSync(path, { recursive: true })
      if (stats.isDirectory() && this.#random.below(2) === 0) writeFileSync(path, 'was a directory')
      else {
        mkdirSync(path)
        writeFileSync(Buffer.concat([path, Buffer.from('/new')]), 'in its place')
      }
    })
  }

  #makeSparse(path: Buffer): void {
    const fd = openSync(path, 'r+')
    writeSync(fd, 'after a hole', 100_000)
    closeSync(fd)
  }

  #setTime(path: Buffer): void {
    const time = BigInt(this.#of(TIMES_S)) * 1_000_000_000n + BigInt(this.#random.below(1e9))
    this.#sys.lutimes(path, { atimeNs: time, mtimeNs: time })
  }

  #mode(stats: Stats): number {
    return stats.isDirectory() ? this.#of([0o755, 0o700, 0o1777, 0o2775]) : this.#of(MODES)
  }

  #withFile(change: (file: Found) => void): void {
    const file = this.#random.pick(this.#all().filter(({ stats }) => stats.isFile()))
    if (file) change(file)
  }

  #withAny(change: (file: Found) => unknown): void {
    const file = this.#random.pick(this.#all())
    if (file) change(file)
  }

  /** A name in a random directory that nothing has. */
  #newPath(): Buffer {
    const directories = [
      Buffer.from(this.#root),
      ...this.#all().flatMap((one) => (one.stats.isDirectory() ? [one.path] : [])),
    ]
    for (let number = 0; ; number++) {
      const parent = this.#of(directories)
      const name = number < 20 ? this.#of(NAMES) : `extra-${number}`
      const path = Buffer.concat([parent, Buffer.from(`/${name}`, 'latin1')])
      if (path.length < 3000 && !lstatSync(path, { throwIfNoEntry: false })) return path
    }
  }

  #all(): Found[] {
    const found: Found[] = []
    const visit = (directory: Buffer): void => {
      for (const name of readdirSync(directory, { encoding: 'latin1' }).sort()) {
        const path = Buffer.concat([directory, Buffer.from(`/${name}`, 'latin1')])
        const stats = lstatSync(path)
        found.push({ path, stats })
        if (stats.isDirectory()) visit(path)
      }
    }
    visit(Buffer.from(this.#root))
    return found
  }

  #of<T>(from: readonly T[]): T {
    const picked = this.#random.pick(from)
    if (picked === undefined) throw new Error('There is nothing to choose from')
    return picked
  }
}
