import { z } from 'zod'

export const GithubRepository = z.object({
  clone_url: z.string(),
  ssh_url: z.string().nullish(),
  html_url: z.string().nullish(),
  default_branch: z.string().nullish(),
})
type GithubRepository = z.infer<typeof GithubRepository>

export function namedBy({ clone_url, ssh_url, html_url }: GithubRepository) {
  return { urls: [clone_url, ssh_url, html_url].filter((url) => typeof url === 'string') }
}
