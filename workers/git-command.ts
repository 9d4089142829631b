import { type SimpleGit, simpleGit } from 'simple-git'
import type { GitRemote } from './git-url.ts'

/** What may be asked of a git that fetches what a user named. */
export interface GitOptions {
  directory: string
  /** Protocols that the remote may use; none for work within a repository. */
  protocols: readonly ('https' | 'http' | 'ssh' | 'file')[]
  remote?: GitRemote
}

/**
 * A git that asks nobody, runs no hook and reads no configuration of this machine. What a user named goes into its
 * arguments behind `--` only. Credentials travel in the environment, which only we can read, and to one origin.
 */
export function openGit(options: GitOptions, signal: AbortSignal): SimpleGit {
  const settings = { ...SETTINGS, ...credentialSettings(options.remote) }
  const env = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    LC_ALL: 'C.UTF-8',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ALLOW_PROTOCOL: options.protocols.join(':'),
    GIT_SSH_COMMAND: 'ssh -oBatchMode=yes -oStrictHostKeyChecking=accept-new -oConnectTimeout=20',
    ...toEnvironment(settings),
  }
  const git = simpleGit({
    baseDir: options.directory,
    abort: signal,
    // By default it waits 50 ms more for output after a command that prints nothing.
    completion: { onClose: true, onExit: false },
    allowEnvironment: Object.keys(env),
    // Each of these guards against values that come from a caller; here they are ours, as written below.
    unsafe: {
      allowUnsafeConfigEnvCount: true,
      allowUnsafeConfigPaths: true,
      allowUnsafeHooksPath: true,
      allowUnsafeSshCommand: true,
    },
  })
  return git.env(env)
}

const SETTINGS = {
  'core.hooksPath': '/dev/null',
  'gc.auto': '0',
  // What is received stays one file, whose growth can be watched.
  'fetch.unpackLimit': '1',
  // A server that sends nearly nothing for a minute is as good as gone.
  'http.lowSpeedLimit': '1',
  'http.lowSpeedTime': '60',
}

function credentialSettings(remote: GitRemote | undefined): Record<string, string> {
  if (!remote?.credentials) return {}
  const { username, password } = remote.credentials
  const basic = Buffer.from(`${username}:${password}`).toString('base64')
  return { [`http.${new URL(remote.url).origin}/.extraHeader`]: `Authorization: Basic ${basic}` }
}

/** https://git-scm.com/docs/git-config#ENVIRONMENT */
function toEnvironment(settings: Record<string, string>): Record<string, string> {
  const pairs = Object.entries(settings).flatMap(([key, value], index) => [
    [`GIT_CONFIG_KEY_${index}`, key],
    [`GIT_CONFIG_VALUE_${index}`, value],
  ])
  return { GIT_CONFIG_COUNT: String(Object.keys(settings).length), ...Object.fromEntries(pairs) }
}
