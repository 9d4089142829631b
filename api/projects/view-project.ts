import { z } from 'zod'
import { Project } from '#domain/project'
import { findRuleConflicts } from '#domain/rule-mistakes'
import type { ApiDeps } from '../deps.ts'

/** A project as the API shows it: that a secret is set, never which. */
export const ProjectView = Project.extend({
  repository: z.string().nullable(),
  webhookSecretSet: z.boolean(),
  webhookSigningTokenSet: z.boolean(),
  /** Where to push its source. */
  gitUrl: z.string(),
  /** Where a provider sends its webhooks. */
  hookUrl: z.string(),
  /** Its image's name without a tag. */
  image: z.string(),
  /** What is allowed and hardly meant, such as two rules that set one tag. */
  warnings: z.array(z.string()),
})
export type ProjectView = z.infer<typeof ProjectView>

export async function viewProject({ store, config }: ApiDeps, project: Project): Promise<ProjectView> {
  const secrets = await store.projects.secrets(project.name)
  return {
    ...project,
    webhookSecretSet: secrets.webhookSecret !== null,
    webhookSigningTokenSet: secrets.webhookSigningToken !== null,
    gitUrl: `${config.baseUrl}/git/${project.name}.git`,
    hookUrl: `${config.baseUrl}/hooks/${project.name}`,
    image: `${config.registryHost}/${project.name}`,
    warnings: findRuleConflicts(project.rules),
  }
}
