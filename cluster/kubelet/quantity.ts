import { SlipwayError } from '#domain/errors'

const FACTORS: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

/** A resource amount such as `128Mi`, `250m` or `1e3`, as a number. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ */
export function parseQuantity(text: string | number): number {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)$/.exec(String(text))
  const factor = match?.[2] === undefined ? FACTORS[match?.[3] ?? ''] : 10 ** Number(match[2])
  if (!match || factor === undefined) throw new SlipwayError('invalid', `Quantity ${text} is not a number with a unit`)
  return Number(match[1]) * factor
}
