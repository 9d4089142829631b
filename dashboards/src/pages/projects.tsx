import { useQuery } from '@tanstack/react-query'
import { api } from '../api.ts'
import { ProjectLink } from '../parts/project-link.tsx'
import { Missing } from '../parts/session.tsx'
import { TimeAgo } from '../parts/time.tsx'

export function ProjectsPage() {
  const { data, error } = useQuery({ queryKey: ['projects'], queryFn: api.projects })
  if (!data) return <Missing error={error} />
  return (
    <>
      <h1>Projects</h1>
      <p className="muted">
        A push to <code>{`${location.origin}/git/NAMESPACE/NAME.git`}</code> makes a project.
      </p>
      {data.items.length === 0 && <p className="empty">There is no project yet.</p>}
      <ul className="cards">
        {data.items.map((project) => (
          <li key={project.name} className="card">
            <h2>
              <ProjectLink project={project.name} />
            </h2>
            <p className="muted">
              {project.rules.length} {project.rules.length === 1 ? 'rule' : 'rules'}, made{' '}
              <TimeAgo atMs={project.createdAtMs} />
            </p>
          </li>
        ))}
      </ul>
    </>
  )
}
