import { useQuery } from '@tanstack/react-query'
import { api } from '../api.ts'
import { useLiveBuilds } from '../live.ts'
import { BuildTable } from '../parts/build-table.tsx'
import { Missing } from '../parts/session.tsx'

/** Builds of all projects, as they happen. */
export function BuildsPage() {
  const { data, error } = useQuery({ queryKey: ['builds'], queryFn: api.builds })
  if (!data) return <Missing error={error} />
  return <Builds builds={data.items} />
}

function Builds({ builds }: { builds: Parameters<typeof BuildTable>[0]['builds'] }) {
  useLiveBuilds(['builds'])
  return (
    <>
      <h1>Builds</h1>
      <BuildTable builds={builds} showProject />
    </>
  )
}
