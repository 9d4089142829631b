import { describe, RegistryError, type Task } from './registry-error.ts'

/** Registries that are not to be used, and the file that says so. */
interface BlockList {
  blocked?: readonly string[]
  file?: string | null
}

/** The task, unless its registry is blocked, whatever mirrors it has. */
export function allowed(task: Task, { blocked = [], file = null }: BlockList): Task {
  if (!blocked.includes(task.registry)) return task
  throw new RegistryError(
    task.direction === 'pull' ? 'pull-denied' : 'push-denied',
    `${describe(task)} is refused: the registry ${task.registry} is blocked${file === null ? '' : ` by ${file}`}`,
  )
}
