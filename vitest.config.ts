import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['packages/*/src/**/*.spec.ts', 'packages/*/test/**/*.spec.ts', 'docs/examples/*/*.spec.ts'],
    testTimeout: 60_000,
    // Other packages are met as they were built: plain modules that Node loads as they are.
    server: { deps: { external: [/\/packages\/[^/]+\/dist\//] } },
  },
});
