import { z } from 'zod'

export const CloudRepository = z.object({
  links: z.object({ html: z.object({ href: z.string() }) }),
})

export const ServerRepository = z.object({
  slug: z.string(),
  project: z.object({ key: z.string() }),
  links: z.object({ clone: z.array(z.object({ href: z.string() })).nullish() }).nullish(),
})

/** Older versions send no clone URL. */
export function namedByServer({ slug, project, links }: z.infer<typeof ServerRepository>) {
  return { urls: links?.clone?.map(({ href }) => href) ?? [], path: `${project.key}/${slug}` }
}
