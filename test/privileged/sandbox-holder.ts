import { createLogger } from '#host/log'
import { openSandbox } from '#sandbox'
import { commitBusybox, never, specOf } from './busybox.ts'

/** A process that holds containers, snapshots and networks, says so, and waits to be killed. */
const [dataDir = '', owner = '', seconds = ''] = process.argv.slice(2)
const sandbox = await openSandbox({ dataDir, owner, warmNetworks: 2 }, createLogger('holder', 'warn'))
process.on('SIGTERM', () => void sandbox[Symbol.asyncDispose]().then(() => process.exit(0)))
const base = await commitBusybox(sandbox)
const network = await sandbox.networks.acquireEgress(never)
const pod = await sandbox.networks.createPod(never)
for (const taken of [network, pod]) {
  const snapshot = await sandbox.snapshots.prepare(base)
  const script = `trap "" TERM; setsid sleep ${seconds} & echo up; sleep ${seconds}`
  const container = await sandbox.containers.start(specOf(await snapshot.mount(), script, { network: taken }), never)
  container.stdout.once('data', () => process.stdout.write(`up ${container.pid}\n`))
}
await sandbox.snapshots.view(base)
setInterval(() => {}, 60_000)
