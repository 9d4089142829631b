import { z } from 'zod'
import { SlipwayError } from '#domain/errors'
import { BuildId, ProjectName } from '#domain/ids'

/** What several routes take or answer. */
export const ProjectParams = z.object({ ns: z.string(), name: z.string() })
export const BuildParams = z.object({ id: z.string() })
export const PageQuery = z.object({
  cursor: z.string().max(256).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
})

export const pageOf = <T extends z.ZodType>(item: T) => z.object({ items: z.array(item), next: z.string().nullable() })

/** A name that no project can have is a project that is not there. */
export function projectName(params: z.infer<typeof ProjectParams>): ProjectName {
  const name = ProjectName.safeParse(`${params.ns}/${params.name}`)
  if (!name.success) throw new SlipwayError('not-found', `There is no project ${params.ns}/${params.name}`)
  return name.data
}

export function buildId(params: z.infer<typeof BuildParams>): BuildId {
  const id = BuildId.safeParse(params.id)
  if (!id.success) throw new SlipwayError('not-found', `There is no build ${params.id}`)
  return id.data
}
