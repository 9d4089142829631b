import { defineConfig } from 'vitest/config'

/** A project is a kind of access to the machine; the groups run one after another. */
const project = (name: string, include: string[], groupOrder: number, more: object = {}) => ({
  test: { name, include, exclude: ['test/fixtures/**'], sequence: { groupOrder }, ...more },
})

const oneAtATime = { fileParallelism: false, hookTimeout: 300_000 }

export default defineConfig({
  test: {
    reporters: ['default', './test/support/summary-reporter.ts'],
    projects: [
      project(
        'unit',
        [
          'test/{core/domain,core/host,api,workers,buildkit-lite,sandbox,cluster,cli,dashboards}/**/*.test.ts',
          'test/*.test.ts',
        ],
        0,
      ),
      project('redis', ['test/core/store/**/*.test.ts', 'test/redis/**/*.test.ts'], 1, {
        testTimeout: 60_000,
        hookTimeout: 60_000,
      }),
      project('privileged', ['test/privileged/**/*.test.ts'], 2, { ...oneAtATime, testTimeout: 120_000 }),
      project('e2e', ['test/e2e/**/*.test.ts'], 3, { ...oneAtATime, testTimeout: 300_000 }),
      project('browser', ['test/browser/**/*.test.ts'], 4, { ...oneAtATime, testTimeout: 120_000 }),
    ],
  },
})
