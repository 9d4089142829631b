import { parseDockerfile, planDockerfile } from '#buildkit-lite'
import { type Report, report } from './report.ts'

const ROUNDS = 15
const amd64 = { os: 'linux', architecture: 'amd64' }

/** Kinds of Dockerfiles that grow in one direction each: where time grows faster than they do, it shows. */
const shapes: Readonly<Record<string, (lines: number) => string>> = {
  'mixed instructions': mixed,
  'one continued RUN': (lines) => `FROM base\nRUN true${' \\\n  && true'.repeat(lines - 2)}\n`,
  'comments in a continued RUN': (lines) => `FROM base\nRUN true \\\n${'  # why\n'.repeat(lines - 3)}  && true\n`,
  'here-documents': (lines) => `FROM base\n${'RUN <<EOF\ntrue\nEOF\nCOPY <<A /a\n$X\nA\n'.repeat(lines / 6)}`,
  'one ENV of many pairs': (lines) =>
    `FROM base\nENV A=1${Array.from({ length: lines - 2 }, (_, i) => ` \\\n  K${i}=v$A`).join('')}\n`,
  'many ENV': (lines) => `FROM base\n${Array.from({ length: lines - 1 }, (_, i) => `ENV K${i}=v\n`).join('')}`,
  'many ARG': (lines) => `FROM base\n${Array.from({ length: lines - 1 }, (_, i) => `ARG K${i}=v\n`).join('')}`,
  'many LABEL': (lines) => `FROM base\n${Array.from({ length: lines - 1 }, (_, i) => `LABEL k${i}=v\n`).join('')}`,
  'many EXPOSE': (lines) => `FROM base\n${Array.from({ length: lines - 1 }, (_, i) => `EXPOSE ${i}\n`).join('')}`,
  'many flags': (lines) =>
    `FROM base\nRUN ${Array.from({ length: lines - 2 }, (_, i) => `--mount=target=/m${i} \\\n`).join('')}true\n`,
  'many stages': (lines) => stages(Math.floor(lines / 4)),
}
const SIZES = [500, 1000, 2000, 4000, 8000, 16_000]

/** Reading and planning alone, without a running Slipway: the two aims, and how both grow with the file. */
export async function benchFrontend(): Promise<Report[]> {
  const parsed = parseDockerfile(stages(200), 'Dockerfile')
  const reports = [
    report(
      'parse a Dockerfile of 2,000 lines',
      await time(() => parseDockerfile(mixed(2000), 'Dockerfile')),
      'median <= 20',
    ),
    report('plan a Dockerfile of 200 stages', await time(() => plan(parsed)), 'median <= 50'),
  ]
  for (const [name, shape] of Object.entries(shapes)) {
    for (const [what, samples] of Object.entries(await growth(shape))) {
      reports.push(
        report(
          `${what} ${name}, ${SIZES.at(0)} to ${SIZES.at(-1)} lines: growth a doubling`,
          samples,
          'median near 2, not ms',
        ),
      )
    }
  }
  return reports
}

/** How many times longer each doubling takes. */
async function growth(shape: (lines: number) => string): Promise<{ parse: number[]; plan: number[] }> {
  const parse: number[] = []
  const planning: number[] = []
  for (const size of SIZES) {
    const text = shape(size)
    parse.push(Math.min(...(await time(() => parseDockerfile(text, 'Dockerfile'), 5))))
    const dockerfile = parseDockerfile(text, 'Dockerfile')
    planning.push(Math.min(...(await time(() => plan(dockerfile), 3))))
  }
  return { parse: ratios(parse), plan: ratios(planning) }
}

function ratios(values: readonly number[]): number[] {
  return values.slice(1).map((value, index) => value / (values[index] ?? Number.NaN))
}

async function time(work: () => unknown, rounds = ROUNDS): Promise<number[]> {
  const samples: number[] = []
  for (let round = 0; round < rounds; round++) {
    const started = performance.now()
    await work()
    samples.push(performance.now() - started)
  }
  return samples
}

function plan(dockerfile: ReturnType<typeof parseDockerfile>): Promise<unknown> {
  const config = { ...amd64, config: {}, rootfs: { type: 'layers' as const, diff_ids: [] } }
  return planDockerfile(
    {
      dockerfile,
      target: null,
      buildArgs: {},
      labels: {},
      platform: amd64,
      buildPlatform: amd64,
      network: 'default',
      namedContexts: {},
      resolver: {
        resolve: async (reference) => ({ reference, manifestDigest: 'sha256:0', config, layers: [], source: 'bench' }),
      },
    },
    new AbortController().signal,
  )
}

const PART = `# what it is for
ARG VERSION=1.2.3
ENV HOME=/srv/app PATH="/opt/bin:$PATH"
RUN --mount=type=cache,target=/var/cache \\
    apt-get update && \\
    apt-get install -y --no-install-recommends \${PACKAGES:-curl}
COPY --chown=1001:1002 --from=tools src/*.ts /app/
LABEL org.example.version="\${VERSION%%.*}"
RUN <<EOF
echo "$VERSION" > /version
EOF
CMD ["node", "main.ts"]
WORKDIR /app
`
const PART_LINES = PART.split('\n').length - 1

/** The instructions of everyday files, again and again. */
function mixed(lines: number): string {
  return `FROM base\n${PART.repeat(Math.round((lines - 1) / PART_LINES))}`
}

/** Stages that copy from the one before and from the first. */
function stages(count: number): string {
  const one = (index: number) =>
    index === 0
      ? 'FROM base AS s0\nRUN make\n'
      : `FROM base AS s${index}\nCOPY --from=s${index - 1} /out /in\nCOPY --from=s0 /lib /lib\nRUN make ${index}\n`
  return Array.from({ length: count }, (_, index) => one(index)).join('')
}
