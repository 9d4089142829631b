import { readFile } from 'node:fs/promises'
import { AppsV1Api, CoreV1Api, KubeConfig } from '@kubernetes/client-node'
import type { Config } from '#host/config'
import { untilItAnswers } from './supervisor/children.ts'

const NAME = 'hello'
const labels = { app: NAME }

/**
 * A Deployment of the example and a Service in front. Its image does not exist yet: the push that follows makes it, and
 * the rollout puts it live. Returns the port on this machine.
 */
export async function createDemoDeployment(config: Config, image: string, signal: AbortSignal): Promise<number> {
  const kubeconfig = new KubeConfig()
  await untilItAnswers(async () => kubeconfig.loadFromString(await readFile(config.kubeconfigFile, 'utf8')), signal)
  const core = kubeconfig.makeApiClient(CoreV1Api)
  const probe = { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 }
  const container = { name: NAME, image, ports: [{ containerPort: 8080 }], readinessProbe: probe }
  await kubeconfig.makeApiClient(AppsV1Api).createNamespacedDeployment({
    namespace: 'default',
    body: {
      metadata: { name: NAME },
      spec: {
        replicas: 2,
        selector: { matchLabels: labels },
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
        template: { metadata: { labels }, spec: { containers: [container] } },
      },
    },
  })
  const service = await core.createNamespacedService({
    namespace: 'default',
    body: {
      metadata: { name: NAME },
      spec: { type: 'NodePort', selector: labels, ports: [{ port: 80, targetPort: 8080 }] },
    },
  })
  const nodePort = service.spec?.ports?.[0]?.nodePort
  if (nodePort === undefined) throw new Error('the Service of the demo got no node port')
  return nodePort
}
