import { methodNotAllowed } from './api-error.ts'
import type { ApiReply, ApiRequest } from './api-request.ts'
import { parseBody } from './decode.ts'
import { isObject, type JsonObject } from './json.ts'

/** Questions about the one who asks; they are answered and not kept. */
interface Review {
  kind: string
  group: string
  plural: string
  answer: (spec: JsonObject) => JsonObject
}

const EVERYTHING = ['*']

/** Who has the token is the cluster's administrator; there are no other users. */
export const REVIEWS: readonly Review[] = [
  {
    kind: 'SelfSubjectReview',
    group: 'authentication.k8s.io',
    plural: 'selfsubjectreviews',
    answer: () => ({ userInfo: { username: 'admin', groups: ['system:masters', 'system:authenticated'] } }),
  },
  {
    kind: 'SelfSubjectAccessReview',
    group: 'authorization.k8s.io',
    plural: 'selfsubjectaccessreviews',
    answer: () => ({ allowed: true }),
  },
  {
    kind: 'SelfSubjectRulesReview',
    group: 'authorization.k8s.io',
    plural: 'selfsubjectrulesreviews',
    answer: () => ({
      resourceRules: [{ verbs: EVERYTHING, apiGroups: EVERYTHING, resources: EVERYTHING }],
      nonResourceRules: [{ verbs: EVERYTHING, nonResourceURLs: EVERYTHING }],
      incomplete: false,
    }),
  },
]

/** The answer to a review, or null where the path is none. https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/ */
export function serveReview({ path, method, body, contentType }: ApiRequest): ApiReply | null {
  const review = REVIEWS.find(({ group, plural }) => path === `/apis/${group}/v1/${plural}`)
  if (!review) return null
  if (method !== 'POST') throw methodNotAllowed()
  const given = parseBody(body, contentType, review.kind)
  const spec = isObject(given) && isObject(given['spec']) ? given['spec'] : {}
  const { kind, group, answer } = review
  const metadata = { creationTimestamp: null }
  return { code: 201, body: { kind, apiVersion: `${group}/v1`, metadata, spec, status: answer(spec) } }
}
