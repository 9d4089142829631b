import type { JsonObject } from './json.ts'
import { groupVersion, RESOURCES, type Resource, VERSION } from './resources.ts'
import { REVIEWS } from './reviews.ts'

/** The Kubernetes release whose behaviour we follow; clients pick their own by it. */
const RELEASE = { major: '1', minor: '33', gitVersion: 'v1.33.0' }

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']

export function versionInfo(): JsonObject {
  return {
    ...RELEASE,
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: 'go1.24',
    compiler: 'gc',
    platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  }
}

const AGGREGATED = /application\/json;[^,]*g=apidiscovery\.k8s\.io[^,]*;?[^,]*v=(v2beta1|v2)\b[^,]*/

/** The answer to a discovery path, or null where it is none. */
export function discover(path: string, accept: string): { body: JsonObject; contentType: string } | null {
  const plain = (body: JsonObject) => ({ body, contentType: 'application/json' })
  if (path === '/api' || path === '/apis') {
    const form = AGGREGATED.exec(accept)
    if (form) return aggregated(path, form[1] ?? 'v2')
    return plain(path === '/api' ? coreVersions() : groupList())
  }
  const group = groups().find((each) => path === `/apis/${each}`)
  if (group) return plain({ kind: 'APIGroup', apiVersion: 'v1', ...describeGroup(group) })
  const inVersion = RESOURCES.filter((each) => path === (each.group ? `/apis/${groupVersion(each)}` : '/api/v1'))
  if (inVersion.length > 0) return plain(resourceList(inVersion))
  const reviews = REVIEWS.filter((each) => path === `/apis/${each.group}/${VERSION}`)
  return reviews.length > 0 ? plain(reviewList(reviews)) : null
}

export function groups(): string[] {
  return [...new Set([...RESOURCES, ...REVIEWS].map(({ group }) => group))].filter((group) => group !== '')
}

function coreVersions(): JsonObject {
  return { kind: 'APIVersions', versions: [VERSION], serverAddressByClientCIDRs: [] }
}

function groupList(): JsonObject {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups().map(describeGroup) }
}

function describeGroup(name: string): JsonObject {
  const version = { groupVersion: `${name}/${VERSION}`, version: VERSION }
  return { name, versions: [version], preferredVersion: version }
}

function resourceList(resources: Resource[]): JsonObject {
  const entries = resources.flatMap((resource) => {
    const { plural, singular, namespaced, kind, shortNames, categories } = resource
    const lists: JsonObject = {
      ...(shortNames.length > 0 ? { shortNames } : {}),
      ...(categories.length > 0 ? { categories } : {}),
    }
    const whole: JsonObject = { name: plural, singularName: singular, namespaced, kind, verbs: VERBS, ...lists }
    const parts = resource.subresources.map((name): JsonObject => {
      const { kind, group, version, verbs } = describeSubresource(resource, name)
      const foreign = group === resource.group ? {} : { group, version }
      return { name: `${plural}/${name}`, singularName: '', namespaced, ...foreign, kind, verbs }
    })
    return [whole, ...parts]
  })
  const [first] = resources
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: first ? groupVersion(first) : '',
    resources: entries,
  }
}

function reviewList(reviews: typeof REVIEWS): JsonObject {
  const resources = reviews.map(({ kind, plural }) => {
    return { name: plural, singularName: kind.toLowerCase(), namespaced: false, kind, verbs: ['create'] }
  })
  const group = reviews[0]?.group ?? ''
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: `${group}/${VERSION}`, resources }
}

const SESSION_KINDS = { exec: 'PodExecOptions', attach: 'PodAttachOptions', portforward: 'PodPortForwardOptions' }

function describeSubresource({ kind, group }: Resource, name: Resource['subresources'][number]) {
  switch (name) {
    case 'scale':
      return { kind: 'Scale', group: 'autoscaling', version: 'v1', verbs: ['get', 'patch', 'update'] }
    case 'eviction':
      return { kind: 'Eviction', group: 'policy', version: 'v1', verbs: ['create'] }
    case 'exec':
    case 'attach':
    case 'portforward':
      return { kind: SESSION_KINDS[name], group, version: VERSION, verbs: ['create', 'get'] }
    case 'log':
      return { kind, group, version: VERSION, verbs: ['get'] }
    case 'status':
      return { kind, group, version: VERSION, verbs: ['get', 'patch', 'update'] }
    default:
      return name satisfies never
  }
}

/** Everything in one answer. https://kubernetes.io/docs/concepts/overview/kubernetes-api/#aggregated-discovery */
function aggregated(path: string, form: string): { body: JsonObject; contentType: string } {
  const wanted = path === '/api' ? [''] : groups()
  const items = wanted.map((group) => ({
    metadata: { ...(group ? { name: group } : {}), creationTimestamp: null },
    versions: [
      {
        version: VERSION,
        resources: [
          ...RESOURCES.filter((each) => each.group === group).map(aggregatedResource),
          ...REVIEWS.filter((each) => each.group === group).map(aggregatedReview),
        ],
        freshness: 'Current',
      },
    ],
  }))
  return {
    body: { kind: 'APIGroupDiscoveryList', apiVersion: `apidiscovery.k8s.io/${form}`, metadata: {}, items },
    contentType: `application/json;g=apidiscovery.k8s.io;v=${form};as=APIGroupDiscoveryList`,
  }
}

function aggregatedReview({ kind, group, plural }: (typeof REVIEWS)[number]): JsonObject {
  const responseKind = { group, version: VERSION, kind }
  return { resource: plural, responseKind, scope: 'Cluster', singularResource: kind.toLowerCase(), verbs: ['create'] }
}

function aggregatedResource(resource: Resource): JsonObject {
  const { plural, singular, namespaced, kind, group, shortNames, categories } = resource
  const subresources = resource.subresources.map((name) => {
    const { verbs, ...responseKind } = describeSubresource(resource, name)
    return { subresource: name, responseKind, verbs }
  })
  return {
    resource: plural,
    responseKind: { group, version: VERSION, kind },
    scope: namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs: VERBS,
    ...(shortNames.length > 0 ? { shortNames } : {}),
    ...(categories.length > 0 ? { categories } : {}),
    ...(subresources.length > 0 ? { subresources } : {}),
  }
}
