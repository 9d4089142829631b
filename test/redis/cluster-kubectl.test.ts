import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { run } from '#host/exec'
import type { Deployment, Pod } from '../../cluster/kinds.ts'
import { startCluster, type TestCluster } from '../support/cluster.ts'

/** kubectl is the one tool that set-up cannot install. */
const hasKubectl = await run('kubectl', ['version', '--client']).then(
  () => true,
  () => false,
)
if (!hasKubectl) process.stderr.write('skipped: kubectl is not on PATH\n')
const kubectlTest = test.runIf(hasKubectl)

let cluster: TestCluster
beforeAll(async () => {
  cluster = await startCluster()
})
afterAll(async () => cluster[Symbol.asyncDispose]())

const k = async (...args: string[]) => (await cluster.kubectl(args)).stdout
const apply = async (manifest: string) => (await cluster.kubectl(['apply', '-f', '-'], { input: manifest })).stdout
const fails = async (args: string[], input?: string) =>
  (await cluster.kubectl(args, { okCodes: [1], ...(input === undefined ? {} : { input }) })).stderr
const json = async <T>(...args: string[]) => JSON.parse(await k(...args, '-o', 'json')) as T

const web = (name: string, extra = '') => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}}
spec:
  replicas: 3
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec:
      containers:
      - {name: web, image: 'nginx:1', ports: [{name: http, containerPort: 80}]}
${extra}---
apiVersion: v1
kind: Service
metadata: {name: ${name}}
spec: {type: NodePort, selector: {app: ${name}}, ports: [{port: 80, targetPort: http}]}
`

kubectlTest('apply, roll out, look at it, delete it', async () => {
  expect(await apply(web('web'))).toBe('deployment.apps/web created\nservice/web created\n')
  expect(await k('rollout', 'status', 'deployment/web', '--timeout=20s')).toContain('successfully rolled out')
  expect(await apply(web('web'))).toBe('deployment.apps/web unchanged\nservice/web unchanged\n')
  expect(await k('get', 'deployments')).toMatch(/NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +3\/3 +3 +3 +\d+s\n/)
  expect(await k('get', 'pods', '-o', 'wide')).toMatch(/NAME +READY +STATUS +RESTARTS +AGE +IP +NODE/)
  expect((await k('get', 'endpoints', 'web')).match(/10\.88\.0\.\d+:80/g)).toHaveLength(3)
  const service = await json<{ spec: { clusterIP: string; ports: { nodePort: number }[] } }>('get', 'svc', 'web')
  expect(service.spec.clusterIP).toMatch(/^10\.96\./)
  expect(service.spec.ports[0]?.nodePort).toBeGreaterThanOrEqual(30_000)
  expect(await k('describe', 'deployment', 'web')).toMatch(/Scaled up replica set web-\w+ from 0 to 3/)
  expect(await k('logs', 'deployment/web')).toMatch(/^web-\w+-\w+ web line 1\n$/)
  expect(await k('delete', 'deployment/web', 'service/web')).toContain('deployment.apps "web" deleted')
  await k('wait', '--for=delete', 'pod', '-l', 'app=web', '--timeout=10s')
  expect(cluster.objects.list('ReplicaSet').filter(({ metadata }) => metadata.name.startsWith('web-'))).toEqual([])
  expect(cluster.objects.get('EndpointSlice', 'default', 'web')).toBeNull()
})

kubectlTest('set image, history, undo, restart, scale, pause and resume', async () => {
  await apply(web('app'))
  await k('rollout', 'status', 'deployment/app', '--timeout=20s')
  await k('set', 'image', 'deployment/app', 'web=nginx:2')
  await k('rollout', 'status', 'deployment/app', '--timeout=20s')
  expect(await k('rollout', 'history', 'deployment/app')).toMatch(/\n1 +<none>\n2 +<none>\n/)
  expect(await k('rollout', 'history', 'deployment/app', '--revision=2')).toContain('nginx:2')
  await k('rollout', 'undo', 'deployment/app')
  await k('rollout', 'status', 'deployment/app', '--timeout=20s')
  const undone = await json<Deployment>('get', 'deployment', 'app')
  expect(undone.spec.template.spec.containers[0]?.image).toBe('nginx:1')
  expect(undone.metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('3')
  await k('rollout', 'restart', 'deployment/app')
  await k('rollout', 'status', 'deployment/app', '--timeout=20s')
  await k('scale', 'deployment/app', '--replicas=5')
  await k('rollout', 'status', 'deployment/app', '--timeout=20s')
  expect(await k('get', 'deployment', 'app', '-o', 'jsonpath={.status.availableReplicas}')).toBe('5')
  await k('scale', 'deployment/app', '--current-replicas=5', '--replicas=1')
  await k('rollout', 'pause', 'deployment/app')
  await k('set', 'image', 'deployment/app', 'web=nginx:3')
  const sets = cluster.objects.list('ReplicaSet', 'default').length
  await k('rollout', 'resume', 'deployment/app')
  await k('rollout', 'status', 'deployment/app', '--timeout=20s')
  expect(cluster.objects.list('ReplicaSet', 'default')).toHaveLength(sets + 1)
})

kubectlTest('a rollout never goes below what has to be available', async () => {
  const extra = '  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}\n'
  await apply(web('steady', extra))
  await k('rollout', 'status', 'deployment/steady', '--timeout=20s')
  const counts: { ready: number; all: number }[] = []
  const isOwn = (pod: Pod) => pod.metadata.labels?.['app'] === 'steady'
  using _watching = cluster.objects.watch('EndpointSlice', ({ object }) => {
    if (object.metadata.name !== 'steady') return
    const ready = object.endpoints.filter(({ conditions }) => conditions.ready).length
    counts.push({
      ready,
      all: cluster.objects.list('Pod').filter((pod) => isOwn(pod) && !pod.metadata.deletionTimestamp).length,
    })
  })
  await k('set', 'image', 'deployment/steady', 'web=nginx:2')
  await k('rollout', 'status', 'deployment/steady', '--timeout=20s')
  expect(Math.min(...counts.map(({ ready }) => ready))).toBe(3)
  expect(Math.max(...counts.map(({ all }) => all))).toBe(4)
})

kubectlTest('a rollout past its deadline fails, and undo repairs it', async () => {
  await apply(web('stuck', '  progressDeadlineSeconds: 1\n'))
  await k('rollout', 'status', 'deployment/stuck', '--timeout=20s')
  cluster.nodes.becomesReady = (pod) => pod.spec.containers[0]?.image !== 'nginx:bad'
  await k('set', 'image', 'deployment/stuck', 'web=nginx:bad')
  expect(await fails(['rollout', 'status', 'deployment/stuck', '--timeout=20s'])).toContain(
    'exceeded its progress deadline',
  )
  const { status } = await json<Deployment>('get', 'deployment', 'stuck')
  expect(status?.availableReplicas).toBe(3)
  await k('rollout', 'undo', 'deployment/stuck')
  expect(await k('rollout', 'status', 'deployment/stuck', '--timeout=20s')).toContain('successfully rolled out')
})

kubectlTest('patches of every type, labels, server-side apply, dry runs, diff', async () => {
  await apply(web('patched'))
  const image = () => k('get', 'deployment', 'patched', '-o', 'jsonpath={.spec.template.spec.containers[*].image}')
  await k(
    'patch',
    'deployment',
    'patched',
    '-p',
    '{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"nginx:s"}]}}}}',
  )
  expect(await image()).toBe('nginx:s')
  await k('patch', 'deployment', 'patched', '--type=merge', '-p', '{"spec":{"replicas":1}}')
  await k(
    'patch',
    'deployment',
    'patched',
    '--type=json',
    '-p',
    '[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"nginx:j"}]',
  )
  expect(await image()).toBe('nginx:j')
  await k('patch', 'deployment', 'patched', '--subresource=scale', '--type=merge', '-p', '{"spec":{"replicas":2}}')
  await k('label', 'deployment', 'patched', 'team=blue')
  expect(await k('get', 'deployments', '-l', 'team=blue', '-o', 'name')).toBe('deployment.apps/patched\n')
  const applied = await cluster.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], {
    input: web('patched'),
  })
  expect(applied.stdout).toContain('deployment.apps/patched serverside-applied')
  expect(await image()).toBe('nginx:1')
  const before = cluster.objects.get('Deployment', 'default', 'patched')?.metadata.generation
  await cluster.kubectl(['apply', '--dry-run=server', '-f', '-'], {
    input: web('patched').replace('nginx:1', 'nginx:dry'),
  })
  const { stdout } = await cluster.kubectl(['diff', '-f', '-'], {
    input: web('patched').replace('nginx:1', 'nginx:diff'),
    okCodes: [1],
  })
  expect(stdout).toMatch(/\+ +- image: nginx:diff/)
  expect(cluster.objects.get('Deployment', 'default', 'patched')?.metadata.generation).toBe(before)
})

kubectlTest('wrong manifests are refused in words', async () => {
  const wrong = (from: string, to: string) => fails(['apply', '-f', '-'], web('bad').replace(from, to))
  expect(await wrong('replicas: 3', 'replcas: 3')).toContain('strict decoding error: unknown field "spec.replcas"')
  expect(await wrong('replicas: 3', 'replicas: three')).toContain('cannot unmarshal string')
  expect(await wrong('labels: {app: bad}', 'labels: {app: other}')).toContain(
    '`selector` does not match template `labels`',
  )
  expect(await wrong('name: bad}', 'name: Bad_Name}')).toContain('a lowercase RFC 1123 subdomain')
  expect(await fails(['get', 'deployment', 'nope'])).toBe(
    'Error from server (NotFound): deployments.apps "nope" not found\n',
  )
  await apply(web('taken'))
  const { spec } = await json<{ spec: { ports: { nodePort: number }[] } }>('get', 'svc', 'taken')
  const second = web('other').replace('targetPort: http', `targetPort: http, nodePort: ${spec.ports[0]?.nodePort}`)
  expect(await fails(['apply', '-f', '-'], second)).toContain('provided port is already allocated')
})

kubectlTest('stored objects, namespaces, api-resources and explain', async () => {
  await apply('{apiVersion: v1, kind: Namespace, metadata: {name: team}}')
  await apply('{apiVersion: v1, kind: ConfigMap, metadata: {name: cm, namespace: team}, data: {a: b}}')
  await apply('{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: team}, stringData: {a: b}}')
  expect(parse(await k('get', 'secret', 's', '-n', 'team', '-o', 'yaml'))).toMatchObject({ data: { a: 'Yg==' } })
  expect(await k('get', 'cm', '-n', 'team')).toMatch(/cm +1 +\d+s/)
  expect(await k('delete', 'namespace', 'team')).toContain('deleted')
  expect(cluster.objects.get('ConfigMap', 'team', 'cm')).toBeNull()
  expect(await k('api-resources')).toMatch(/deployments +deploy +apps\/v1 +true +Deployment/)
  expect(await k('explain', 'deployment.spec.strategy')).toContain('rollingUpdate')
})

kubectlTest('typed creates, which newer kubectl sends as protobuf', async () => {
  await k('create', 'namespace', 'typed')
  await k('create', 'configmap', 'cm', '-n', 'typed', '--from-literal=a=b', '--from-literal=empty=')
  await k('create', 'secret', 'generic', 's', '-n', 'typed', '--from-literal=a=b')
  await k('create', 'deployment', 'web', '-n', 'typed', '--image=nginx:1', '--replicas=2', '--port=80')
  await k('create', 'service', 'nodeport', 'web', '-n', 'typed', '--tcp=80:8080')
  await k('rollout', 'status', 'deployment/web', '-n', 'typed', '--timeout=20s')
  expect(cluster.objects.get('ConfigMap', 'typed', 'cm')?.data).toEqual({ a: 'b', empty: '' })
  expect(cluster.objects.get('Secret', 'typed', 's')).toMatchObject({ type: 'Opaque', data: { a: 'Yg==' } })
  expect(cluster.objects.get('Service', 'typed', 'web')?.spec).toMatchObject({
    type: 'NodePort',
    selector: { app: 'web' },
    ports: [{ name: '80-8080', port: 80, targetPort: 8080, protocol: 'TCP' }],
  })
  const { spec } = await json<Deployment>('get', 'deployment', 'web', '-n', 'typed')
  expect(spec).toMatchObject({ replicas: 2, strategy: { rollingUpdate: { maxSurge: '25%' } } })
  expect(spec.template.spec.containers).toMatchObject([
    { name: 'nginx', image: 'nginx:1', ports: [{ containerPort: 80 }] },
  ])
  expect(await k('run', 'one', '-n', 'typed', '--image=nginx:1')).toBe('pod/one created\n')
  expect(await k('expose', 'deployment', 'web', '-n', 'typed', '--name=again', '--port=80')).toContain('exposed')
  await k('delete', 'namespace', 'typed')
  expect(cluster.objects.list('Pod', 'typed')).toEqual([])
})

kubectlTest('orphaned ReplicaSets are adopted again', async () => {
  await apply(web('orphan'))
  await k('rollout', 'status', 'deployment/orphan', '--timeout=20s')
  const pods = await k('get', 'pods', '-l', 'app=orphan', '-o', 'name')
  await k('delete', 'deployment', 'orphan', '--cascade=orphan')
  expect(await k('get', 'pods', '-l', 'app=orphan', '-o', 'name')).toBe(pods)
  await apply(web('orphan'))
  await k('rollout', 'status', 'deployment/orphan', '--timeout=20s')
  expect(await k('get', 'pods', '-l', 'app=orphan', '-o', 'name')).toBe(pods)
  await k('delete', 'deployment', 'orphan', '--cascade=foreground')
  expect(await k('get', 'pods', '-l', 'app=orphan', '-o', 'name')).toBe('')
})

kubectlTest('what one may do, and who one is', async () => {
  expect(await k('auth', 'can-i', 'create', 'deployments')).toBe('yes\n')
  expect(await k('auth', 'can-i', '--list')).toMatch(/\*\.\* +\[\] +\[\] +\[\*\]/)
  expect(await k('auth', 'whoami', '-o', 'jsonpath={.status.userInfo.username}')).toBe('admin')
  expect(await k('api-resources', '--api-group=authorization.k8s.io')).toContain('SelfSubjectAccessReview')
})

kubectlTest('an apply over what another one has set is refused in words, and forced', async () => {
  const map = (value: string) => `{apiVersion: v1, kind: ConfigMap, metadata: {name: shared}, data: {a: '${value}'}}`
  const applyAs = async (manager: string, value: string, ...more: string[]) =>
    await cluster.kubectl(['apply', '--server-side', `--field-manager=${manager}`, ...more, '-f', '-'], {
      input: map(value),
      okCodes: [0, 1],
    })
  await applyAs('one', '1')
  const refused = await applyAs('two', '2')
  expect(refused.stderr).toContain('Apply failed with 1 conflict: conflict with "one": .data.a')
  expect((await applyAs('two', '2', '--force-conflicts')).stdout).toBe('configmap/shared serverside-applied\n')
  expect(await k('get', 'cm', 'shared', '-o', 'jsonpath={.data.a}')).toBe('2')
  // What kubectl has applied on its own side is handed over to the server's side without a conflict.
  await apply(map('3').replace('shared', 'moved'))
  const moved = { input: map('4').replace('shared', 'moved') }
  expect((await cluster.kubectl(['apply', '--server-side', '-f', '-'], moved)).stdout).toContain('serverside-applied')
})

kubectlTest('leases are kept as clients write them', async () => {
  const times = "acquireTime: '2026-01-02T03:04:05.000006Z', leaseDurationSeconds: 15"
  await apply(
    `{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: l}, spec: {holderIdentity: me, ${times}}}`,
  )
  expect(await k('get', 'leases', 'l')).toMatch(/NAME +HOLDER +AGE\nl +me +\d+s\n/)
  expect(await k('get', 'lease', 'l', '-o', 'jsonpath={.spec.acquireTime}')).toBe('2026-01-02T03:04:05.000006Z')
})

kubectlTest('wait for conditions and for values', async () => {
  await apply(web('awaited'))
  await k('wait', 'deployment/awaited', '--for=condition=Available', '--timeout=20s')
  await k('wait', 'deployment/awaited', '--for=jsonpath={.status.readyReplicas}=3', '--timeout=20s')
})
