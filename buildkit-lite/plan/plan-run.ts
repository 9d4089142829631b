import { SyntaxFault } from '../dockerfile/errors.ts'
import { type Heredoc, heredocBody, parseHeredocMark } from '../dockerfile/heredoc.ts'
import type { RunInstruction } from '../dockerfile/instruction.ts'
import { commandArgs, shellOf } from './metadata.ts'
import type { RunOperation } from './plan.ts'
import { planMounts } from './run-mounts.ts'
import type { Turn } from './stage-builder.ts'
import { addHistory, type StageState } from './stage-state.ts'

/** Plans RUN. */
export function planRun(turn: Turn, instruction: RunInstruction): void {
  const { state, context } = turn
  const { args, scripts } = commandOf(state, instruction)
  const { env, proxyEnv } = withProxies(state, context.buildArgs)
  const argNames = state.args
    .filter(({ name, value }) => value !== null && env.get(name) === value)
    .map((one) => one.name)
  const { mounts, agentSocket } = planMounts(turn, instruction)
  // Set whether or not an agent will be forwarded.
  if (agentSocket !== null && !env.has('SSH_AUTH_SOCK')) env.set('SSH_AUTH_SOCK', agentSocket)
  const step = turn.addStep({
    kind: 'run',
    input: state.fileSystem,
    args,
    env: [...env].map(([name, value]) => `${name}=${value}`),
    ...(argNames.length > 0 ? { argNames } : {}),
    proxyEnv,
    workingDir: state.config.WorkingDir || '/',
    user: state.config.User ?? '',
    network: networkOf(instruction, context.network),
    security: instruction.security ?? 'sandbox',
    hostname: context.buildArgs['BUILDKIT_SANDBOX_HOSTNAME'] || HOSTNAME,
    mounts,
    ...(instruction.devices.length > 0 ? { devices: instruction.devices } : {}),
    scripts,
  })
  addHistory(state, `RUN ${[...argsPrefix(state), ...args].join(' ')} # buildkit`, step)
}

/** What `hostname` prints in other builders, too. */
const HOSTNAME = 'buildkitsandbox'

/** `--network=default` is the build's own default, which may be another one. */
function networkOf({ network }: RunInstruction, fallback: RunOperation['network']): RunOperation['network'] {
  return network === null || network === 'default' ? fallback : network
}

interface Command {
  args: readonly string[]
  scripts: readonly { name: string; content: string }[]
}

/** What RUN executes: here-documents become the shell's text, or a script of their own. */
function commandOf(state: StageState, instruction: RunInstruction): Command {
  const { command, heredocs } = instruction
  const [heredoc] = heredocs
  if (command.form === 'exec' && command.args.length === 0)
    throw new SyntaxFault('RUN [] names no program, expected RUN ["program", "argument"]')
  if (!heredoc || command.form === 'exec') return { args: commandArgs(state, command), scripts: [] }
  if (!parseHeredocMark(command.text))
    return { args: [...shellOf(state), withBodies(command.text, heredocs)], scripts: [] }
  const content = heredocBody(heredoc)
  if (!content.startsWith('#!')) return { args: [...shellOf(state), content], scripts: [] }
  const { name } = heredoc
  if (name.includes('/')) throw new SyntaxFault(`a script cannot be named ${name}`)
  return { args: [...shellOf(state), `/dev/pipes/${name}`], scripts: [{ name, content }] }
}

/** The text as it was in the Dockerfile: the shell reads its here-documents itself. */
function withBodies(text: string, heredocs: readonly Heredoc[]): string {
  return text + heredocs.map(({ content, name }) => `\n${content}${name}`).join('')
}

/** `|2 A=1 B=2`: the ARGs in scope, each once, with the values RUN sees. */
function argsPrefix(state: StageState): string[] {
  const values = new Map(state.args.map(({ name, value }) => [name, state.env.get(name) ?? value ?? '']))
  return values.size === 0 ? [] : [`|${values.size}`, ...[...values].map(([name, value]) => `${name}=${value}`)]
}

const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY']

/** The predefined proxy arguments need no ARG: RUN sees them in capitals and in small letters. */
function withProxies(state: StageState, buildArgs: Readonly<Record<string, string>>) {
  const env = new Map(state.env)
  const declared = new Set(state.args.map(({ name }) => name))
  const proxyEnv: string[] = []
  const given = Object.keys(buildArgs).sort()
  for (const proxy of PROXIES) {
    const key = given.findLast((name) => name.toUpperCase() === proxy)
    if (key === undefined) continue
    for (const name of [proxy, proxy.toLowerCase()]) {
      env.delete(name)
      env.set(name, buildArgs[key] ?? '')
      if (!declared.has(name)) proxyEnv.push(name)
    }
  }
  return { env, proxyEnv }
}
