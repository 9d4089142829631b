import { Link } from '@tanstack/react-router'
import type { Build } from '#domain/build'
import { shortRef } from './format.ts'
import { Status } from './status.tsx'
import { Duration, TimeAgo } from './time.tsx'

/** Builds, newest first. */
export function BuildTable({ builds, showProject }: { builds: readonly Build[]; showProject: boolean }) {
  if (builds.length === 0)
    return <p className="empty">Nothing has been built yet. Push to a repository, and it shows up here.</p>
  return (
    <div className="table-scroller">
      <table>
        <thead>
          <tr>
            <th scope="col">Status</th>
            <th scope="col">Build</th>
            <th scope="col">Commit</th>
            <th scope="col">Duration</th>
            <th scope="col">Queued</th>
          </tr>
        </thead>
        <tbody>
          {builds.map((build) => (
            <BuildRow key={build.id} build={build} showProject={showProject} />
          ))}
        </tbody>
      </table>
    </div>
  )
}

function BuildRow({ build, showProject }: { build: Build; showProject: boolean }) {
  return (
    <tr>
      <td>
        <Status of={build.status} />
      </td>
      <td>
        <Link to="/builds/$id" params={{ id: build.id }} className="strong">
          {showProject && `${build.project} `}#{build.number}
        </Link>
        <div className="muted">
          {build.waitingFor && build.status === 'queued' ? `waits for ${build.waitingFor}` : shortRef(build.ref)}
        </div>
      </td>
      <td>
        <div className="one-line">{build.error?.message ?? build.message ?? ''}</div>
        <code className="muted">{build.commit.slice(0, 10)}</code>
      </td>
      <td>
        <Duration startMs={build.startedAtMs} endMs={build.finishedAtMs} />
      </td>
      <td>
        <TimeAgo atMs={build.queuedAtMs} />
      </td>
    </tr>
  )
}
