import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate, useParams } from '@tanstack/react-router'
import { type FormEvent, useState } from 'react'
import type { BuildRule, Project } from '#domain/project'
import { api } from '../api.ts'
import { useLiveBuilds } from '../live.ts'
import { BuildTable } from '../parts/build-table.tsx'
import { Missing } from '../parts/session.tsx'

/** A project: its builds as they happen, its rules, and how to connect it. */
export function ProjectPage() {
  const params = useParams({ from: '/projects/$namespace/$name' })
  const name = `${params.namespace}/${params.name}`
  const { data, error } = useQuery({ queryKey: ['project', name], queryFn: () => api.project(name) })
  if (!data) return <Missing error={error} />
  return <ProjectView project={data} />
}

function ProjectView({ project }: { project: Project }) {
  const key = ['builds', project.name]
  const builds = useQuery({ queryKey: key, queryFn: () => api.buildsOf(project.name) })
  useLiveBuilds(key, (build) => build.project === project.name)
  return (
    <>
      <div className="title">
        <h1>{project.name}</h1>
        <BuildNow project={project} />
      </div>
      {builds.data ? <BuildTable builds={builds.data.items} showProject={false} /> : <Missing error={builds.error} />}
      <h2>Rules</h2>
      <RuleTable rules={project.rules} />
      <h2>Connect</h2>
      <Connect project={project} />
    </>
  )
}

function BuildNow({ project }: { project: Project }) {
  const navigate = useNavigate()
  const [ref, setRef] = useState(`refs/heads/${project.defaultBranch}`)
  const start = useMutation({
    mutationFn: () => api.buildNow(project.name, ref),
    onSuccess: (build) => navigate({ to: '/builds/$id', params: { id: build.id } }),
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    start.mutate()
  }
  return (
    <form className="actions" onSubmit={submit}>
      <label className="hidden-text" htmlFor="ref">
        Ref to build
      </label>
      <input id="ref" value={ref} onChange={(event) => setRef(event.target.value)} required />
      <button type="submit" disabled={start.isPending}>
        Build
      </button>
      {start.error && <span className="notice-bad">{start.error.message}</span>}
    </form>
  )
}

function RuleTable({ rules }: { rules: readonly BuildRule[] }) {
  return (
    <div className="table-scroller">
      <table>
        <thead>
          <tr>
            <th scope="col">Source</th>
            <th scope="col">Pattern</th>
            <th scope="col">Tags</th>
            <th scope="col">Dockerfile</th>
            <th scope="col">Deploys to</th>
          </tr>
        </thead>
        <tbody>
          {rules.map((rule, index) => (
            <tr key={index}>
              <td>{rule.source}</td>
              <td>
                <code>{rule.pattern}</code>
              </td>
              <td>{rule.tags.join(', ')}</td>
              <td>
                <code>{rule.dockerfile}</code>
              </td>
              <td>{rule.deploy.map((target) => `${target.namespace}/${target.deployment}`).join(', ') || '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Connect({ project }: { project: Project }) {
  const client = useQueryClient()
  const [secret, setSecret] = useState('')
  const save = useMutation({
    mutationFn: () => api.changeProject(project.name, { webhookSecret: secret }),
    onSuccess: () => {
      setSecret('')
      void client.invalidateQueries({ queryKey: ['project', project.name] })
    },
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    save.mutate()
  }
  return (
    <div className="card">
      <p>
        Push: <code>{`${location.origin}/git/${project.name}.git`}</code>
      </p>
      <p>
        Webhook of GitHub, GitLab, Gitea, Forgejo, Gogs, Bitbucket or a registry:{' '}
        <code>{`${location.origin}/hooks/${project.name}`}</code>
      </p>
      <form className="actions" onSubmit={submit}>
        <label>
          Webhook secret{' '}
          <input
            type="password"
            minLength={8}
            required
            value={secret}
            onChange={(event) => setSecret(event.target.value)}
            autoComplete="new-password"
          />
        </label>
        <button type="submit" disabled={save.isPending}>
          Set the secret
        </button>
        {save.isSuccess && <span className="muted">The secret is set.</span>}
        {save.error && <span className="notice-bad">{save.error.message}</span>}
      </form>
    </div>
  )
}
