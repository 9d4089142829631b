import { expect, test } from 'vitest'
import type { Sys } from '#host/sys'
import { mountReadonly } from '../../../sandbox/snapshots/overlay.ts'

test('says that an image is too deep, instead of what the kernel says', () => {
  const sys: Pick<Sys, 'mountOverlay'> = { mountOverlay: () => expect.unreachable('must not be mounted') }
  const layers = Array.from({ length: 501 }, (_, layer) => `/layers/${layer}`)
  expect(() => mountReadonly(sys as Sys, '/root', layers)).toThrow(/501 layers .* at most 500/)
})
