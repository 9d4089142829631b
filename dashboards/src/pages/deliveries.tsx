import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { Delivery, Ignored, Verdict } from '#domain/delivery'
import { api } from '../api.ts'
import { Missing } from '../parts/session.tsx'
import { TimeAgo } from '../parts/time.tsx'

/** Every webhook and push that came in, with what became of it. */
export function DeliveriesPage() {
  const { data, error } = useQuery({ queryKey: ['deliveries'], queryFn: api.deliveries })
  if (!data) return <Missing error={error} />
  return (
    <>
      <h1>Deliveries</h1>
      {data.items.length === 0 && <p className="empty">No webhook has come in yet.</p>}
      {data.items.length > 0 && (
        <div className="table-scroller">
          <table>
            <thead>
              <tr>
                <th scope="col">Verdict</th>
                <th scope="col">Event</th>
                <th scope="col">Project</th>
                <th scope="col">Answered</th>
                <th scope="col">Received</th>
              </tr>
            </thead>
            <tbody>
              {data.items.map((delivery) => (
                <DeliveryRow key={delivery.id} delivery={delivery} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  )
}

function DeliveryRow({ delivery }: { delivery: Delivery }) {
  return (
    <tr>
      <td>
        <span className={`verdict verdict-${delivery.verdict.kind}`}>{delivery.verdict.kind}</span>
        <div className="muted">
          <VerdictText verdict={delivery.verdict} />
        </div>
        {delivery.verdict.kind === 'waiting' && <Approval delivery={delivery.id} commit={delivery.verdict.commit} />}
      </td>
      <td>
        {delivery.provider} {delivery.event}
      </td>
      <td>{delivery.project ?? '–'}</td>
      <td className="number">{Math.round(delivery.answeredInMs)} ms</td>
      <td>
        <TimeAgo atMs={delivery.receivedAtMs} />
      </td>
    </tr>
  )
}

/** Approves the one commit that is shown, and none that is pushed later. */
function Approval({ delivery, commit }: { delivery: string; commit: string }) {
  const client = useQueryClient()
  const approve = useMutation({
    mutationFn: () => api.approve(delivery, commit),
    onSuccess: () => client.invalidateQueries({ queryKey: ['deliveries'] }),
  })
  return (
    <div>
      <button type="button" disabled={approve.isPending} onClick={() => approve.mutate()}>
        Approve {commit.slice(0, 12)}
      </button>
      {approve.error && <span className="notice-bad"> {approve.error.message}</span>}
    </div>
  )
}

function Reasons({ lines }: { lines: readonly string[] }) {
  return lines.map((line, index) => <div key={index}>{line}</div>)
}

function reasonText({ rule, reason }: Ignored): string {
  return rule === null ? reason : `Rule ${rule}: ${reason}`
}

function VerdictText({ verdict }: { verdict: Verdict }) {
  switch (verdict.kind) {
    case 'accepted':
    case 'duplicate':
      return verdict.builds.map((id) => (
        <Link key={id} to="/builds/$id" params={{ id }}>
          build{' '}
        </Link>
      ))
    case 'rejected':
      return `${verdict.status}: ${verdict.reason}`
    case 'ignored':
      return <Reasons lines={[verdict.reason, ...verdict.ignored.map(reasonText)]} />
    case 'waiting':
    case 'answered':
      return verdict.reason
    default:
      return verdict satisfies never
  }
}
