import { SlipwayError } from '#domain/errors'
import type { ProjectName } from '#domain/ids'
import { defaultRules, type Project, type ProjectChange } from '#domain/project'
import type { Store } from '#store/contract'
import { checkRules } from './check-rules.ts'

export type WantedProject = ProjectChange & { name: ProjectName }

/** Makes a project; what is not said of it gets its default. */
export async function createProject(store: Store, wanted: WantedProject): Promise<Project> {
  const project = complete(wanted)
  checkRules(project.rules)
  const { webhookSecret = null, webhookSigningToken = null } = wanted
  return store.projects.create(project, { webhookSecret, webhookSigningToken })
}

/** Makes the project, or makes it what is wanted. Secrets that are not named stay: nobody could send them back. */
export async function replaceProject(
  store: Store,
  wanted: WantedProject,
): Promise<{ project: Project; isNew: boolean }> {
  const { name, ...change } = wanted
  if (await store.projects.get(name)) {
    const { repository, defaultBranch, visibility, rules, rebuildOn } = complete(wanted)
    checkRules(rules)
    const whole = { ...change, repository, defaultBranch, visibility, rules, rebuildOn }
    return { project: await store.projects.change(name, whole), isNew: false }
  }
  try {
    return { project: await createProject(store, wanted), isNew: true }
  } catch (error) {
    if (!(error instanceof SlipwayError) || error.kind !== 'already-exists') throw error
    return replaceProject(store, wanted)
  }
}

function complete(wanted: WantedProject): Project {
  const { name, repository = null, defaultBranch = 'main', visibility = 'private', rebuildOn = [] } = wanted
  const rules = wanted.rules ?? defaultRules(defaultBranch)
  return { name, repository, defaultBranch, visibility, rules, rebuildOn, createdAtMs: Date.now() }
}
