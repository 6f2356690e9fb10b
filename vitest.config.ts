import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // The tests run as Muster does: through Node's own type stripping, nothing transformed.
    experimental: { viteModuleRunner: false },
    pool: 'forks',
    // One more than the cores of a small machine: some tests wait for processes to notice what was done to them.
    maxWorkers: 3,
    globalSetup: ['test/support/startServices.ts'],
    setupFiles: ['test/support/watchFailures.ts'],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    teardownTimeout: 60_000,
  },
})
