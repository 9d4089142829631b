import { z } from 'zod'

export const GitlabProject = z.object({
  git_http_url: z.string(),
  git_ssh_url: z.string().nullish(),
  default_branch: z.string().nullish(),
})

export function namedByProject({ git_http_url, git_ssh_url }: z.infer<typeof GitlabProject>) {
  return { urls: [git_http_url, git_ssh_url].filter((url) => typeof url === 'string') }
}
