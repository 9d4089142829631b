import type { IncomingMessage } from 'node:http'
import type { ProjectName } from '#domain/ids'
import type { ApiDeps } from '../deps.ts'
import type { ExpectedPush, PushChannel } from './push-channel.ts'
import { GIT_ENV, repositoriesDir } from './repositories.ts'

const MAX_PACK_BYTES = 1024 ** 3

export interface BackendEnvOptions {
  deps: ApiDeps
  hooksDir: string
  channel: PushChannel
  request: IncomingMessage
  project: ProjectName
  path: string
  user: string
  push: ExpectedPush | null
}

/** The environment of `git http-backend`: CGI's variables, and our settings, which no repository can change. */
export function backendEnv(options: BackendEnvOptions): Record<string, string> {
  const { deps, request, project, path, user, push } = options
  const { headers } = request
  return {
    ...GIT_ENV,
    ...settings(options.hooksDir),
    GIT_PROJECT_ROOT: repositoriesDir(deps.config.dataDir),
    GIT_HTTP_EXPORT_ALL: '1',
    REQUEST_METHOD: request.method ?? 'GET',
    PATH_INFO: `/${project}.git/${path}`,
    QUERY_STRING: request.url?.split('?')[1] ?? '',
    CONTENT_TYPE: headers['content-type'] ?? '',
    // No CONTENT_LENGTH: git then reads to the end of its input. With it, git spins for ever on a body that breaks off.
    ...(headers['content-encoding'] ? { HTTP_CONTENT_ENCODING: headers['content-encoding'] } : {}),
    ...(typeof headers['git-protocol'] === 'string' ? { HTTP_GIT_PROTOCOL: headers['git-protocol'] } : {}),
    REMOTE_USER: user.replaceAll(/[^\w.@+-]/g, '_').slice(0, 64) || 'anonymous',
    REMOTE_ADDR: request.socket.remoteAddress ?? '',
    ...(push ? { SLIPWAY_PUSH_SOCKET: options.channel.socketPath, SLIPWAY_PUSH: push.id } : {}),
  }
}

function settings(hooksDir: string): Record<string, string> {
  const pairs = {
    'safe.directory': '*',
    'core.hooksPath': hooksDir,
    'http.receivepack': 'true',
    'receive.advertisePushOptions': 'true',
    'receive.maxInputSize': String(MAX_PACK_BYTES),
    'receive.fsckObjects': 'true',
    // Old histories have these harmless faults, and nobody can rewrite them.
    'receive.fsck.zeroPaddedFilemode': 'warn',
    'receive.fsck.badTimezone': 'warn',
    'receive.fsck.missingSpaceBeforeDate': 'warn',
    'receive.denyDeleteCurrent': 'ignore',
    // A build fetches the exact commit of its event, which a branch may have left since.
    'uploadpack.allowAnySHA1InWant': 'true',
  }
  const entries = Object.entries(pairs).flatMap(([key, value], index) => [
    [`GIT_CONFIG_KEY_${index}`, key],
    [`GIT_CONFIG_VALUE_${index}`, value],
  ])
  return { GIT_CONFIG_COUNT: String(Object.keys(pairs).length), ...Object.fromEntries(entries) }
}
