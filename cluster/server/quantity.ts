import { SlipwayError } from '#domain/errors'

const SUFFIXES: Record<string, number> = {
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

/** The number a quantity such as `500m`, `64Mi` or `1e3` stands for. */
export function quantityValue(quantity: string | number): number {
  const parts = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+)|(n|u|m|k|[KMGTPE]i|[MGTPE])?)$/.exec(
    String(quantity).trim(),
  )
  const scale = parts?.[2] === undefined ? SUFFIXES[parts?.[3] ?? ''] : 10 ** Number(parts[2])
  if (!parts || scale === undefined) {
    throw new SlipwayError(
      'invalid',
      `quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$', got ${quantity}`,
    )
  }
  return Number(parts[1]) * scale
}

export function compareQuantities(a: string | number, b: string | number): number {
  return Math.sign(quantityValue(a) - quantityValue(b))
}
