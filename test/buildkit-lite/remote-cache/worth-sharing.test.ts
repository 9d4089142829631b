import { expect, test } from 'vitest'
import { Digest } from '#domain/digest'
import { type MadeLayer, worthSharing } from '../../../buildkit-lite/remote-cache/worth-sharing.ts'

const MB = 1_000_000

function made(letter: string, stage: string, size: number, tookMs: number): MadeLayer {
  const digest = Digest.parse(`sha256:${letter.repeat(64)}`)
  const descriptor = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size }
  return { layer: { descriptor, diffId: digest }, stage, tookMs }
}
const lettersOf = (layers: readonly MadeLayer[]) =>
  worthSharing(layers)
    .map(({ descriptor }) => descriptor.digest.at(-1) ?? '')
    .sort((a, b) => a.localeCompare(b))

test.for<[string, MadeLayer[], string[]]>([
  ['a small layer, however quick', [made('a', 's', 1000, 0)], ['a']],
  ['a large layer that took long', [made('a', 's', 100 * MB, 6000)], ['a']],
  ['no large layer that is made faster than sent', [made('a', 's', 100 * MB, 100)], []],
  ['what a slow step stands on', [made('a', 's', 50 * MB, 10), made('b', 's', 1000, 60_000)], ['a', 'b']],
  ['each stage for itself', [made('a', 's', 50 * MB, 10), made('b', 't', 1000, 60_000)], ['b']],
  ['a layer once, under whatever keys', [made('a', 's', 50 * MB, 3000), made('a', 's', 50 * MB, 3000)], ['a']],
  ['no more than a build may send', [made('a', 's', 900 * MB, 1e6), made('b', 't', 900 * MB, 2e6)], ['b']],
])('%s', ([, layers, expected]) => {
  expect(lettersOf(layers)).toEqual(expected)
})
