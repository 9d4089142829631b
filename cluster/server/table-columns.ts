import type { KindName } from '../kinds.ts'
import type { JsonObject } from './json.ts'

/** A column: name, type (`string` if not said, also for some numbers, as in Kubernetes) and whether only `-o wide` shows it. */
type Column = [name: string, type?: 'string' | 'integer', isWide?: 'wide']

const WORKLOAD_WIDE: Column[] = [
  ['Containers', 'string', 'wide'],
  ['Images', 'string', 'wide'],
  ['Selector', 'string', 'wide'],
]

const COLUMNS: Record<KindName, Column[]> = {
  Pod: [
    ['Name'],
    ['Ready'],
    ['Status'],
    ['Restarts'],
    ['Age'],
    ['IP', 'string', 'wide'],
    ['Node', 'string', 'wide'],
    ['Nominated Node', 'string', 'wide'],
    ['Readiness Gates', 'string', 'wide'],
  ],
  Deployment: [['Name'], ['Ready'], ['Up-to-date'], ['Available'], ['Age'], ...WORKLOAD_WIDE],
  ReplicaSet: [
    ['Name'],
    ['Desired', 'integer'],
    ['Current', 'integer'],
    ['Ready', 'integer'],
    ['Age'],
    ...WORKLOAD_WIDE,
  ],
  Service: [['Name'], ['Type'], ['Cluster-IP'], ['External-IP'], ['Port(s)'], ['Age'], ['Selector', 'string', 'wide']],
  Endpoints: [['Name'], ['Endpoints'], ['Age']],
  EndpointSlice: [['Name'], ['AddressType'], ['Ports'], ['Endpoints'], ['Age']],
  Node: [
    ['Name'],
    ['Status'],
    ['Roles'],
    ['Age'],
    ['Version'],
    ['Internal-IP', 'string', 'wide'],
    ['External-IP', 'string', 'wide'],
    ['OS-Image', 'string', 'wide'],
    ['Kernel-Version', 'string', 'wide'],
    ['Container-Runtime', 'string', 'wide'],
  ],
  Event: [
    ['Last Seen'],
    ['Type'],
    ['Reason'],
    ['Object'],
    ['Subobject', 'string', 'wide'],
    ['Source', 'string', 'wide'],
    ['Message'],
    ['First Seen', 'string', 'wide'],
    ['Count', 'string', 'wide'],
    ['Name', 'string', 'wide'],
  ],
  ConfigMap: [['Name'], ['Data'], ['Age']],
  Secret: [['Name'], ['Type'], ['Data'], ['Age']],
  Namespace: [['Name'], ['Status'], ['Age']],
  Lease: [['Name'], ['Holder'], ['Age']],
  ServiceAccount: [['Name'], ['Secrets'], ['Age']],
}

const DESCRIPTIONS: Record<string, string> = {
  Name: 'What the object is called; no other of its kind has this name in the namespace',
  Ready: 'How many are ready, of how many there should be',
  Status: 'What state it is in',
  Restarts: 'How often its containers were started again, and when that was',
  Age: 'How long ago it was created',
  IP: 'Address in the cluster',
  Node: 'The node that it was assigned to',
  'Nominated Node': 'The node that is being cleared for it',
  'Readiness Gates': 'How many of the further conditions for being ready are met',
  Containers: 'Names of the containers in the template',
  Images: 'Images of the containers in the template',
  Selector: 'The labels by which its pods are found',
  'Up-to-date': 'How many pods are of the present template',
  Available: 'How many pods have been ready for long enough',
  Desired: 'How many pods there should be',
  Current: 'How many pods there are',
  Type: 'What sort it is of',
  'Cluster-IP': 'Address inside the cluster',
  'External-IP': 'Address outside the cluster',
  'Port(s)': 'Ports, with those on the nodes, and their protocol',
  Endpoints: 'Addresses of the pods behind it',
  AddressType: 'Which family its addresses are of',
  Ports: 'Ports of the pods behind it',
  Roles: 'What the node is for',
  Version: 'Version of its kubelet',
  'Internal-IP': 'Address of the node inside the cluster',
  'OS-Image': 'Name of its operating system',
  'Kernel-Version': 'Version of its kernel',
  'Container-Runtime': 'What runs its containers',
  'Last Seen': 'How long ago it happened last',
  'First Seen': 'How long ago it happened first',
  Reason: 'Why it happened, in one word',
  Object: 'What it happened to',
  Subobject: 'The part that it happened to',
  Source: 'Who reported it',
  Message: 'What happened',
  Count: 'How often it happened',
  Holder: 'Who has it',
  Data: 'How many entries it has',
  Secrets: 'How many secrets its pods may use',
}

/** The columns of a kind's table, https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables */
export function columnsOf(kind: KindName): JsonObject[] {
  return COLUMNS[kind].map(([name, type = 'string', wide]) => ({
    name,
    type,
    format: name === 'Name' ? 'name' : '',
    description: DESCRIPTIONS[name] ?? '',
    priority: wide ? 1 : 0,
  }))
}
