import { Link } from '@tanstack/react-router'

/** A project's name, leading to its page. */
export function ProjectLink({ project }: { project: string }) {
  const [namespace = '', name = ''] = project.split('/')
  return (
    <Link to="/projects/$namespace/$name" params={{ namespace, name }}>
      {project}
    </Link>
  )
}
