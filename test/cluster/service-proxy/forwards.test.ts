import { describe, expect, test } from 'vitest'
import type { EndpointSlice, Pod, Service } from '../../../cluster/kinds.ts'
import { planForwards } from '../../../cluster/service-proxy/forwards.ts'
import { interfaceTowards, parseRoutes } from '../../../cluster/service-proxy/loopback-routing.ts'
import { renderRules } from '../../../cluster/service-proxy/rules.ts'

const service = (spec: Partial<Service['spec']> = {}): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'default' },
  spec: { selector: { app: 'web' }, clusterIP: '10.96.0.5', ports: [{ port: 80, targetPort: 8080 }], ...spec },
})

function pod(ip: string, over: { ready?: boolean; deleting?: boolean; phase?: 'Succeeded'; app?: string } = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: ip,
      namespace: 'default',
      uid: `uid-${ip}`,
      labels: { app: over.app ?? 'web' },
      ...(over.deleting ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
    spec: { containers: [{ name: 'c', image: 'i', ports: [{ name: 'http', containerPort: 9000 }] }] },
    status: {
      phase: over.phase ?? 'Running',
      podIP: ip,
      conditions: [{ type: 'Ready', status: over.ready === false ? 'False' : 'True' }],
    },
  }
}

const addresses = (of: Service, pods: Pod[], slices: EndpointSlice[] = [], leaving: string[] = []) =>
  planForwards({ services: [of], pods, slices }, new Set(leaving)).map(({ backends }) =>
    backends.map(({ ip, port }) => `${ip}:${port}`),
  )

describe('which pods a Service leads to', () => {
  test.for([
    ['a ready pod', pod('10.0.0.2'), ['10.0.0.2:8080']],
    ['no pod that is not ready', pod('10.0.0.2', { ready: false }), []],
    ['no pod that is being deleted', pod('10.0.0.2', { deleting: true }), []],
    ['no pod that has ended', pod('10.0.0.2', { phase: 'Succeeded' }), []],
    ['no pod with other labels', pod('10.0.0.2', { app: 'other' }), []],
  ] as const)('%s', ([, one, expected]) => expect(addresses(service(), [one])).toEqual([expected]))

  test('a pod that is not ready, where the Service publishes those', () => {
    const publishing = service({ publishNotReadyAddresses: true })
    expect(addresses(publishing, [pod('10.0.0.2', { ready: false })])).toEqual([['10.0.0.2:8080']])
  })

  test('a pod leaves at once when it is about to stop', () => {
    const pods = [pod('10.0.0.2'), pod('10.0.0.3')]
    expect(addresses(service(), pods, [], ['uid-10.0.0.2'])).toEqual([['10.0.0.3:8080']])
  })

  test.for([
    ['by number', 8080, '10.0.0.2:8080'],
    ['by name', 'http', '10.0.0.2:9000'],
    ['the same port', undefined, '10.0.0.2:80'],
  ] as const)('target port: %s', ([, targetPort, expected]) => {
    const ports = [{ port: 80, ...(targetPort === undefined ? {} : { targetPort }) }]
    expect(addresses(service({ ports }), [pod('10.0.0.2')])).toEqual([[expected]])
  })

  test('a port name no pod has leads nowhere', () =>
    expect(addresses(service({ ports: [{ port: 80, targetPort: 'grpc' }] }), [pod('10.0.0.2')])).toEqual([[]]))

  test('slices, where a Service selects no pods', () => {
    const { selector: _, ...rest } = service().spec
    const byHand: Service = { ...service(), spec: rest }
    const slice: EndpointSlice = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: 'web-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      endpoints: [
        { addresses: ['192.0.2.1'], conditions: { ready: true, serving: true, terminating: false } },
        { addresses: ['192.0.2.2'], conditions: { ready: false, serving: false, terminating: false } },
      ],
      ports: [{ name: '', port: 5432, protocol: 'TCP' }],
    }
    expect(addresses(byHand, [pod('10.0.0.2')], [slice])).toEqual([['192.0.2.1:5432']])
  })

  test('headless and external Services have no rules', () => {
    expect(addresses(service({ clusterIP: 'None' }), [pod('10.0.0.2')])).toEqual([])
    expect(addresses(service({ type: 'ExternalName' }), [pod('10.0.0.2')])).toEqual([])
  })
})

describe('the rules', () => {
  const rulesOf = (of: Service, pods: Pod[]) =>
    renderRules('slip_t', planForwards({ services: [of], pods, slices: [] }, new Set()))

  test('lead both addresses to both pods', () => {
    const of = service({ type: 'NodePort', ports: [{ port: 80, targetPort: 8080, nodePort: 30080 }] })
    const text = rulesOf(of, [pod('10.0.0.2'), pod('10.0.0.3')])
    expect(text).toContain('elements = { 10.96.0.5 . tcp . 80 : goto service_0 }')
    expect(text).toContain('elements = { tcp . 30080 : goto service_0 }')
    expect(text).toContain('numgen random mod 2 map { 0 : 10.0.0.2 . 8080, 1 : 10.0.0.3 . 8080 }')
    expect(text).toContain('elements = { 10.0.0.2 . 10.0.0.2, 10.0.0.3 . 10.0.0.3 }')
  })

  test('refuse where there is no pod', () => {
    const text = rulesOf(service(), [])
    expect(text).toContain('elements = { 10.96.0.5 . tcp . 80 }')
    expect(text).not.toContain('service_0')
  })

  test('send one client to one pod where the Service asks for it', () =>
    expect(rulesOf(service({ sessionAffinity: 'ClientIP' }), [pod('10.0.0.2')])).toContain('jhash ip saddr mod 1'))
})

describe('routes', () => {
  const text = `Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
br0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0
slip3\t0205000A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0
`
  test.for([
    ['10.0.5.2', 'slip3'],
    ['10.0.5.3', 'br0'],
    ['192.168.1.1', null],
    ['not an address', null],
  ] as const)('%s is behind %s', ([ip, name]) => expect(interfaceTowards(parseRoutes(text), ip)).toBe(name))
})
