import { expect, test } from 'vitest'
import { z } from 'zod'
import { detectProvider, providerNamed } from '../../../api/webhooks/detect-provider.ts'
import { spoiltBodies } from '../../support/spoilt-bodies.ts'
import { readHooks } from '../../support/webhooks.ts'

const hooks = readHooks()

test.for(hooks.map((hook) => [hook.name, hook] as const))('every field of %s may be hostile', ([, hook]) => {
  const headers = { 'content-type': 'application/json', ...hook.headers }
  expect(detectProvider(headers)).toBe(hook.provider)
  const provider = providerNamed(detectProvider(headers))
  if (!provider) throw new Error(`No provider for ${hook.name}`)
  const event = provider.event(headers)
  const before = performance.now()
  let read = 0
  for (const { body, what } of spoiltBodies(hook.body)) {
    read++
    try {
      const { kind } = provider.read(event, body)
      expect(['answered', 'ignored', 'pushes', 'pull-request', 'images'], what).toContain(kind)
    } catch (error) {
      expect(error, what).toBeInstanceOf(z.ZodError)
    }
  }
  expect(read).toBeGreaterThan(5)
  expect((performance.now() - before) / read).toBeLessThan(50)
})
