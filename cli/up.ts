import { join } from 'node:path'
import pc from 'picocolors'
import { SlipwayError } from '#domain/errors'
import type { Config } from '#host/config'
import { aborted } from '#host/shutdown'
import { checkHost } from '#sandbox'
import { redisChild, registryChild, roleChild, untilItAnswers } from './supervisor/children.ts'
import { openDataDirectory } from './supervisor/data-directory.ts'
import { refuseTakenPorts } from './supervisor/free-ports.ts'
import { Supervisor } from './supervisor/supervisor.ts'

export interface UpOptions {
  /** Push the example on an empty data directory. */
  demo: boolean
  print: (line: string) => void
}

/** The whole service on this machine, in the foreground, until the signal aborts. Returns the exit code. */
export async function up(config: Config, options: UpOptions, signal: AbortSignal): Promise<number> {
  const { print } = options
  using data = await openDataDirectory(config.dataDir)
  await refuseTakenPorts(config)
  await refuseUnfitHost(config.dataDir)
  await using supervisor = new Supervisor(config.dataDir)
  try {
    await startChildren(config, supervisor, { print, signal })
    await Promise.race([untilItAnswers(() => getReady(config), signal), supervisor.firstEnd])
    printAddresses(config, print)
    if (data.isNew && options.demo && config.ownCluster) {
      // The clients that only the first run needs are loaded for it alone.
      const { runDemo } = await import('./demo.ts')
      await runDemo(config, data.adminToken, { print, signal })
    }
    print(pc.dim('Ctrl-C stops everything; what was pushed is kept.'))
    await aborted(signal)
  } catch (error) {
    // Stopped while it was still starting: that is no failure.
    if (!signal.aborted) throw error
  }
  print('stopping')
  return 0
}

/** One message for all that is missing; `slipway doctor` says the same and more. */
async function refuseUnfitHost(dataDir: string): Promise<void> {
  const missing = (await checkHost(dataDir)).filter((check) => check.state === 'missing')
  if (missing.length === 0) return
  const reasons = missing.map(({ name, detail, remedy }) => `  ${name}: ${detail}${remedy ? `; ${remedy}` : ''}`)
  throw new SlipwayError('unsupported', `This machine cannot run Slipway yet:\n${reasons.join('\n')}`)
}

async function startChildren(
  config: Config,
  supervisor: Supervisor,
  { print, signal }: { print: UpOptions['print']; signal: AbortSignal },
): Promise<void> {
  const start = async (spec: Parameters<Supervisor['start']>[0]) => {
    await supervisor.start(spec, signal)
    print(`${pc.green('✔')} ${spec.name}`)
  }
  if (config.ownRedis) await start(redisChild(config))
  if (config.ownRegistry) await start(await registryChild(config))
  const api = roleChild('api')
  await start({
    ...api,
    ready: (childSignal) => untilItAnswers(() => getOk(`${config.localUrl}/healthz`), childSignal),
  })
  if (config.ownCluster) await start(roleChild('cluster'))
  await start(roleChild('worker'))
}

async function getReady(config: Config): Promise<void> {
  await getOk(`${config.localUrl}/readyz`)
}

async function getOk(url: string): Promise<void> {
  const response = await fetch(url, { signal: AbortSignal.timeout(3000) })
  await response.body?.cancel()
  if (!response.ok) throw new Error(`${url} answers ${response.status}`)
}

function printAddresses(config: Config, print: UpOptions['print']): void {
  print('')
  print(`  Dashboard    ${pc.cyan(config.baseUrl)}`)
  print(`  Push to      ${config.baseUrl}/git/NAMESPACE/NAME.git  (any user name, the token as the password)`)
  print(`  Admin token  ${join(config.dataDir, 'admin-token')}`)
  print(`  kubectl      --kubeconfig ${config.kubeconfigFile}`)
  print('')
}
