import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Claim } from '#store/contract'
import { holdClaim } from '../../workers/hold-claim.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const claim = { build: { id: 'bld_12345678' } } as unknown as Claim

test('a claim is renewed while it is held, and left alone after', async () => {
  let renewals = 0
  const held = holdClaim({ renew: async () => ++renewals > 0 }, claim, 1000)
  await vi.advanceTimersByTimeAsync(2600)
  expect(renewals).toBe(10)
  await held[Symbol.asyncDispose]()
  await vi.advanceTimersByTimeAsync(2000)
  expect(renewals).toBe(10)
  expect(held.lost.aborted).toBe(false)
})

test('a renewal that is refused says that the claim is lost', async () => {
  await using held = holdClaim({ renew: async () => false }, claim, 1000)
  await vi.advanceTimersByTimeAsync(250)
  expect(held.lost.reason).toMatchObject({ kind: 'conflict' })
})

test('a store that is away is forgiven until the lease has ended', async () => {
  let isAway = true
  const renew = async () => {
    if (isAway) throw new Error('away')
    return true
  }
  await using held = holdClaim({ renew }, claim, 1000)
  await vi.advanceTimersByTimeAsync(800)
  isAway = false
  await vi.advanceTimersByTimeAsync(1000)
  expect(held.lost.aborted).toBe(false)
  isAway = true
  await vi.advanceTimersByTimeAsync(1300)
  expect(held.lost.aborted).toBe(true)
})
