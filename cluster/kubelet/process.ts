import { type ImageConfig, readAccounts, resolveRunUser } from '#buildkit-lite'
import { SlipwayError } from '#domain/errors'
import type { ContainerLimits, ContainerSpec } from '#sandbox'
import type { Pod } from '../kinds.ts'
import type { Container } from '../pod-kinds.ts'
import { quantityValue } from '../server/quantity.ts'
import { expandVariables } from './expansion.ts'

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
/** A fork bomb in one pod shall not take the node with it. */
const DEFAULT_PIDS = 16_384

export type Process = Pick<
  ContainerSpec,
  'args' | 'env' | 'workingDir' | 'user' | 'limits' | 'security' | 'readonlyRoot'
>

/**
 * What a container runs: the pod's fields over the image's. `rootDir` is the mounted root, for names in USER.
 * https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/
 */
export function composeProcess(
  pod: Pod,
  container: Container,
  made: { image: ImageConfig; variables: ReadonlyMap<string, string>; rootDir: string },
): Process {
  const { config } = made.image
  const security = container.securityContext ?? {}
  return {
    args: composeArgs(container, made),
    env: composeEnv(pod, config?.Env ?? [], made.variables),
    workingDir: container.workingDir || config?.WorkingDir || '/',
    user: composeUser(pod, container, { imageUser: config?.User ?? '', rootDir: made.rootDir }),
    limits: composeLimits(container),
    security: security.privileged ? 'privileged' : 'default',
    readonlyRoot: security.readOnlyRootFilesystem ?? false,
  }
}

function composeArgs(
  container: Container,
  { image, variables }: { image: ImageConfig; variables: ReadonlyMap<string, string> },
): string[] {
  const expand = (words: readonly string[]) => words.map((word) => expandVariables(word, (name) => variables.get(name)))
  const command = container.command?.length ? expand(container.command) : null
  const given = container.args?.length ? expand(container.args) : null
  const fromImage = command ? [] : (image.config?.Cmd ?? [])
  const args = [...(command ?? image.config?.Entrypoint ?? []), ...(given ?? fromImage)]
  if (args.length === 0) throw new SlipwayError('invalid', 'no command specified')
  return args
}

function composeEnv(pod: Pod, imageEnv: readonly string[], variables: ReadonlyMap<string, string>): string[] {
  const all = new Map([
    ['PATH', DEFAULT_PATH],
    ['HOSTNAME', pod.spec.hostname || pod.metadata.name],
  ])
  for (const entry of imageEnv) {
    const equals = entry.indexOf('=')
    if (equals > 0) all.set(entry.slice(0, equals), entry.slice(equals + 1))
  }
  for (const [name, value] of variables) all.set(name, value)
  return [...all].map(([name, value]) => `${name}=${value}`)
}

function composeUser(
  pod: Pod,
  container: Container,
  { imageUser, rootDir }: { imageUser: string; rootDir: string },
): ContainerSpec['user'] {
  const security = { ...pod.spec.securityContext, ...container.securityContext }
  const wanted = security.runAsUser === undefined ? imageUser : String(security.runAsUser)
  const { uid, gid, additionalGids } = resolveRunUser(wanted, readAccounts(rootDir))
  if (security.runAsNonRoot && uid === 0)
    throw new SlipwayError('invalid', 'container has runAsNonRoot and image will run as root')
  const groups = [
    ...additionalGids,
    ...(pod.spec.securityContext?.supplementalGroups ?? []),
    ...(pod.spec.securityContext?.fsGroup === undefined ? [] : [pod.spec.securityContext.fsGroup]),
  ]
  return { uid, gid: security.runAsGroup ?? gid, additionalGids: [...new Set(groups)] }
}

function composeLimits(container: Container): ContainerLimits {
  const { memory, cpu } = container.resources?.limits ?? {}
  return {
    memoryBytes: memory === undefined ? null : Math.ceil(quantityValue(memory)),
    cpus: cpu === undefined ? null : quantityValue(cpu),
    pids: DEFAULT_PIDS,
  }
}
