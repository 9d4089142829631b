import { defineConfig } from 'vitest/config'

/** A project is a kind of machine access; `npm test` runs them all, in this order. */
const project = (name: string, include: string[], test: object = {}) => ({
  test: { name, include, exclude: ['test/fixtures/**'], ...test },
})

const oneAtATime = { fileParallelism: false, testTimeout: 120_000, hookTimeout: 180_000 }

export default defineConfig({
  test: {
    projects: [
      project('unit', [
        'test/{core/domain,core/host,api,workers,buildkit-lite,sandbox,cluster,cli,dashboards}/**/*.test.ts',
        'test/*.test.ts',
      ]),
      project('redis', ['test/core/store/**/*.test.ts', 'test/redis/**/*.test.ts'], {
        testTimeout: 30_000,
        hookTimeout: 60_000,
      }),
      project('privileged', ['test/privileged/**/*.test.ts'], oneAtATime),
      project('e2e', ['test/e2e/**/*.test.ts'], { ...oneAtATime, testTimeout: 600_000, hookTimeout: 600_000 }),
      project('browser', ['test/browser/**/*.test.ts'], { ...oneAtATime, testTimeout: 180_000, hookTimeout: 600_000 }),
    ],
  },
})
