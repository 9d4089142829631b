import { useMutation, useQuery } from '@tanstack/react-query'
import { Link, useLocation, useNavigate, useParams } from '@tanstack/react-router'
import { useMemo, useState } from 'react'
import type { Build } from '#domain/build'
import { isFinal } from '#domain/build'
import { api } from '../api.ts'
import { type Connection, useLiveBuild } from '../live.ts'
import type { LogLine } from '../log-lines.ts'
import { headSteps } from '../log-rows.ts'
import { AnsiText } from '../parts/ansi-text.tsx'
import { formatBytes, shortDigest, shortRef } from '../parts/format.ts'
import { LogView } from '../parts/log-view.tsx'
import { ProjectLink } from '../parts/project-link.tsx'
import { Missing } from '../parts/session.tsx'
import { Status } from '../parts/status.tsx'
import { StepList } from '../parts/step-list.tsx'
import { Duration, TimeAgo } from '../parts/time.tsx'
import { WarningList } from '../parts/warning-list.tsx'

const LAST_LINES = 10

/** One build: what it is, how it goes, what it says. */
export function BuildPage() {
  const { id } = useParams({ from: '/builds/$id' })
  const { data, error } = useQuery({ queryKey: ['build', id], queryFn: () => api.build(id) })
  if (!data) return <Missing error={error} />
  return <BuildView key={id} initial={data} />
}

function BuildView({ initial }: { initial: Build }) {
  const live = useLiveBuild(initial.id)
  const build = live.build ?? initial
  const hash = useLocation({ select: (location) => location.hash })
  const [selectedLine, setSelectedLine] = useState<number | null>(() => lineOf(hash))
  const lineCount = live.lines.length
  const firstLines = useMemo(() => {
    const first = new Map<string, number>()
    for (const line of live.lines) if (line?.step && !first.has(line.step)) first.set(line.step, line.number)
    return first
    // The array grows in place: its length is what changes.
  }, [live.lines, lineCount])
  const log = useMemo(() => headSteps(live.lines, build.steps), [live.lines, lineCount, build.steps])
  return (
    <>
      <Title build={build} connection={live.connection} />
      <Facts build={build} />
      {build.error && <ErrorCard build={build} lastLines={lastLinesOf(build, live.lines)} />}
      <WarningList warnings={build.warnings} />
      <div className="build-columns">
        <StepList steps={build.steps} firstLines={firstLines} onSelect={setSelectedLine} />
        <LogView log={log} focusLine={selectedLine} isLive={!isFinal(build.status)} />
      </div>
    </>
  )
}

function lineOf(hash: string): number | null {
  const line = /^#?L(\d+)$/.exec(hash)?.[1]
  return line ? Number(line) : null
}

function Title({ build, connection }: { build: Build; connection: Connection }) {
  const navigate = useNavigate()
  const cancel = useMutation({ mutationFn: () => api.cancel(build.id) })
  const retry = useMutation({
    mutationFn: () => api.retry(build.id),
    onSuccess: (next) => navigate({ to: '/builds/$id', params: { id: next.id } }),
  })
  const failure = cancel.error ?? retry.error
  return (
    <div className="title">
      <h1>
        <Status of={build.status} />
        <ProjectLink project={build.project} /> #{build.number}
      </h1>
      <div className="actions">
        {connection === 'connecting' && !isFinal(build.status) && <span className="muted">connecting…</span>}
        {connection === 'lost' && <span className="notice-bad">The connection is lost. Reload the page.</span>}
        <a
          className="button quiet"
          href={`/api/v1/builds/${build.id}/log?plain=1`}
          download={`build-${build.number}.log`}
        >
          Raw log
        </a>
        {isFinal(build.status) ? (
          <button type="button" onClick={() => retry.mutate()} disabled={retry.isPending}>
            Build again
          </button>
        ) : (
          <button type="button" className="danger" onClick={() => cancel.mutate()} disabled={cancel.isPending}>
            Cancel
          </button>
        )}
      </div>
      {build.message && <p className="one-line commit-message">{build.message}</p>}
      {failure && <p className="notice notice-bad">{failure.message}</p>}
    </div>
  )
}

function Facts({ build }: { build: Build }) {
  return (
    <dl className="facts">
      <Fact name="Ref">
        {shortRef(build.ref)} <code>{build.commit.slice(0, 10)}</code>
      </Fact>
      <Fact name="Took">
        <Duration startMs={build.startedAtMs} endMs={build.finishedAtMs} />
      </Fact>
      <Fact name="Queued">
        <TimeAgo atMs={build.queuedAtMs} />
      </Fact>
      {build.status === 'queued' && <Fact name="Waits for">{build.waitingFor}</Fact>}
      <Fact name="Trigger">{build.attempt > 1 ? `${build.trigger}, attempt ${build.attempt}` : build.trigger}</Fact>
      {build.tags.length > 0 && <Fact name="Tags">{build.tags.join(', ')}</Fact>}
      {build.image && (
        <Fact name="Image">
          <code title={`${build.image.name}@${build.image.digest}`}>{shortDigest(build.image.digest)}</code>{' '}
          <span className="muted">{formatBytes(build.image.sizeBytes)}</span>
        </Fact>
      )}
      {build.rollouts.length > 0 && (
        <Fact name="Rollouts">
          <Link to="/rollouts">{build.rollouts.length}</Link>
        </Fact>
      )}
    </dl>
  )
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}

/** The end of what the failed step printed. */
function lastLinesOf(build: Build, lines: readonly LogLine[]): readonly LogLine[] {
  const failed = build.steps.find((step) => step.status === 'failed')
  return lines.filter((line) => line?.step === failed?.id && line?.stream !== 'system').slice(-LAST_LINES)
}

function ErrorCard({ build, lastLines }: { build: Build; lastLines: readonly LogLine[] }) {
  const { error } = build
  if (!error) return null
  return (
    <section className="card error-card" aria-label="Why it failed">
      <h2>
        {error.kind}
        {error.file && (
          <span className="muted">
            {' '}
            {error.file}
            {error.line && `:${error.line}`}
          </span>
        )}
      </h2>
      <p className="error-message">{error.message}</p>
      {error.excerpt && <pre className="excerpt">{error.excerpt}</pre>}
      {error.kind === 'step-failed' && lastLines.length > 0 && (
        <pre className="excerpt" role="group" aria-label="Last lines of the step">
          {lastLines.map((line) => (
            <span key={line.number}>
              <AnsiText text={line.text} />
              {'\n'}
            </span>
          ))}
        </pre>
      )}
    </section>
  )
}
