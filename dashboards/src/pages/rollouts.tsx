import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { Rollout } from '#domain/rollout'
import { api } from '../api.ts'
import { useLiveRollouts } from '../live.ts'
import { shortDigest } from '../parts/format.ts'
import { Missing } from '../parts/session.tsx'
import { Status } from '../parts/status.tsx'
import { Duration, TimeAgo } from '../parts/time.tsx'

export function RolloutsPage() {
  const { data, error } = useQuery({ queryKey: ['rollouts'], queryFn: api.rollouts })
  if (!data) return <Missing error={error} />
  return <Rollouts rollouts={data.items} />
}

function Rollouts({ rollouts }: { rollouts: readonly Rollout[] }) {
  useLiveRollouts()
  return (
    <>
      <h1>Rollouts</h1>
      {rollouts.length === 0 && (
        <p className="empty">Nothing was rolled out yet. Give a rule a Deployment, and its next push goes live.</p>
      )}
      <ul className="cards">
        {rollouts.map((rollout) => (
          <RolloutCard key={rollout.id} rollout={rollout} />
        ))}
      </ul>
    </>
  )
}

function RolloutCard({ rollout }: { rollout: Rollout }) {
  const { desired, updated, ready, available } = rollout.replicas
  return (
    <li className="card">
      <h2>
        <Status of={rollout.status} /> {rollout.target.namespace}/{rollout.target.deployment}
      </h2>
      <p className="message">{rollout.message}</p>
      <progress max={Math.max(1, desired)} value={Math.min(updated, available)} aria-label="Available new replicas" />
      <p className="muted">
        {updated} updated, {ready} ready, {available} available of {desired}
      </p>
      <p className="muted">
        <Link to="/builds/$id" params={{ id: rollout.build }}>
          {rollout.project}
        </Link>{' '}
        <code>{shortDigest(rollout.digest)}</code>, <TimeAgo atMs={rollout.requestedAtMs} />, took{' '}
        <Duration startMs={rollout.startedAtMs} endMs={rollout.finishedAtMs} />
      </p>
    </li>
  )
}
