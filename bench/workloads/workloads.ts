import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { BuildCall, Builder, Measured } from './builders.ts'
import { changeOneFile, commitAll, commitChange, writeBlend, writeDockerfile, writeSmallFiles } from './contexts.ts'

/** Where a workload's images come from and go to. */
export interface Place {
  dir: string
  /** A small image with busybox, and one of about 93 MB. */
  base: string
  largeBase: string
  ownName: string
  /** A name that no other push has. */
  newName: () => string
}

/** One kind of build. Every builder gets the same, in turn. */
export interface Workload {
  id: string
  name: string
  /** What the median is meant to be, beside that of BuildKit. */
  aim: string
  rounds: number
  /** Makes the context. */
  write(place: Place): Promise<Partial<BuildCall>>
  /** Is done before each round, untimed, for all builders. */
  change?(place: Place, round: number): Promise<void>
  /** Is done before a builder's measured build, untimed. */
  prepare?(builder: Builder, call: BuildCall): Promise<unknown>
  /** Under one name each time, as a project does, or where nothing was pushed before. */
  pushed?: 'again' | 'anew'
}

const SMALL_FILES = 20_000
const MB = 1_000_000

const warm = (builder: Builder, call: BuildCall): Promise<Measured> => builder.build({ ...call, useCache: true })
const copySmall = async ({ dir, base }: Place): Promise<Partial<BuildCall>> => {
  await writeSmallFiles(join(dir, 'src'), SMALL_FILES)
  await writeDockerfile(dir, [`FROM ${base}`, 'COPY src /src'])
  return {}
}
const copySmallFromGit = async (place: Place): Promise<Partial<BuildCall>> => {
  await copySmall(place)
  return { context: await commitAll(place.dir) }
}
const dependencies = async ({ dir, base }: Place): Promise<Partial<BuildCall>> => {
  await writeBlend(join(dir, 'dependencies.bin'), 100 * MB)
  await writeFile(join(dir, 'main.js'), 'console.log(1)\n')
  await writeDockerfile(dir, [
    `FROM ${base}`,
    'COPY dependencies.bin /',
    'COPY main.js /',
    'RUN cat /main.js > /bundle.js',
  ])
  return {}
}
const changeSource = ({ dir }: Place, round: number) =>
  writeFile(join(dir, 'main.js'), `console.log(${round}, ${Date.now()})\n`)
const largeLayer = (compression: BuildCall['compression']) => async (place: Place) => {
  await writeBlend(join(place.dir, 'large.bin'), 500 * MB)
  await writeDockerfile(place.dir, [`FROM ${place.base}`, 'COPY large.bin /', 'RUN true'])
  return { compression, useCache: false }
}

export const workloads: readonly Workload[] = [
  {
    id: 'W1',
    name: 'no-op rebuild of 12 cached instructions',
    aim: 'at most 1.0 × BuildKit',
    rounds: 7,
    write: async ({ dir, base }) => {
      await writeFile(join(dir, 'one'), '1\n')
      const runs = ['one', 'two', 'three', 'four', 'five'].map((name) => `RUN echo ${name} > /${name}`)
      const others = ['ARG A=1', 'ENV B=2', 'WORKDIR /app', 'COPY one .', ...runs, 'LABEL c=d', 'CMD ["true"]']
      await writeDockerfile(dir, [`FROM ${base}`, ...others])
      return {}
    },
    prepare: warm,
  },
  {
    id: 'W2',
    name: '30 trivial RUN, cold',
    aim: 'at most 0.5 × BuildKit',
    rounds: 5,
    write: async ({ dir, base }) => {
      const runs = Array.from({ length: 30 }, (_, index) => `RUN true ${index}`)
      await writeDockerfile(dir, [`FROM ${base}`, ...runs])
      return { useCache: false }
    },
  },
  {
    id: 'W3',
    name: 'four parallel stages of sleep 1',
    aim: 'at most 1150 ms',
    rounds: 3,
    write: async ({ dir, base }) => {
      const stages = [1, 2, 3, 4].flatMap((at) => [`FROM ${base} AS s${at}`, `RUN sleep 1; echo ${at} > /out${at}`])
      const copies = [1, 2, 3, 4].map((at) => `COPY --from=s${at} /out${at} /`)
      await writeDockerfile(dir, [...stages, `FROM ${base}`, ...copies])
      return { useCache: false }
    },
  },
  {
    id: 'W4',
    name: 'COPY of 20,000 small files, cold',
    aim: 'at most 0.4 × BuildKit',
    rounds: 3,
    write: async (place) => ({ ...(await copySmall(place)), useCache: false }),
  },
  {
    id: 'W4',
    name: 'COPY of 20,000 small files, unchanged',
    aim: 'at most 0.5 × BuildKit',
    rounds: 5,
    write: copySmall,
    prepare: warm,
  },
  {
    id: 'W4',
    name: 'COPY of 20,000 small files, one changed',
    aim: 'at most 0.3 × BuildKit',
    rounds: 3,
    write: copySmall,
    change: ({ dir }, round) => changeOneFile(join(dir, 'src'), round),
  },
  {
    id: 'W4',
    name: 'COPY of 20,000 small files from git, cold',
    aim: 'at most 0.4 × BuildKit',
    rounds: 3,
    write: async (place) => ({ ...(await copySmallFromGit(place)), useCache: false }),
  },
  {
    id: 'W4',
    name: 'COPY of 20,000 small files from git, unchanged',
    aim: 'at most 0.5 × BuildKit',
    rounds: 5,
    write: copySmallFromGit,
    prepare: warm,
  },
  {
    id: 'W4',
    name: 'COPY of 20,000 small files from git, one changed',
    aim: 'at most 0.3 × BuildKit',
    rounds: 3,
    write: copySmallFromGit,
    change: async ({ dir }, round) => {
      await changeOneFile(join(dir, 'src'), round)
      await commitChange(dir)
    },
  },
  {
    id: 'W5',
    name: 'one source line changed behind 100 MB, built and pushed',
    aim: 'at most 0.5 × BuildKit',
    rounds: 5,
    write: dependencies,
    change: changeSource,
    pushed: 'again',
  },
  {
    id: 'W5',
    name: 'the same cold, built and pushed',
    aim: 'at most 0.7 × BuildKit',
    rounds: 3,
    write: async (place) => ({ ...(await dependencies(place)), useCache: false }),
    change: changeSource,
    pushed: 'anew',
  },
  {
    id: 'W6',
    name: '500 MB layer built and pushed, gzip',
    aim: 'at most 0.3 × BuildKit',
    rounds: 3,
    write: largeLayer('gzip'),
    pushed: 'anew',
  },
  {
    id: 'W6',
    name: '500 MB layer built and pushed, zstd',
    aim: 'at most 0.6 × BuildKit',
    rounds: 3,
    write: largeLayer('zstd'),
    pushed: 'anew',
  },
  {
    id: 'pull',
    name: 'pull and unpack of a 93 MB base',
    aim: 'at most 0.7 × BuildKit',
    rounds: 3,
    write: async ({ dir, largeBase }) => {
      await writeDockerfile(dir, [`FROM ${largeBase}`, 'RUN true'])
      return {}
    },
    prepare: (builder) => builder.reset(),
  },
]
