import { defineConfig } from 'vitest/config';

export default defineConfig({
    test: {
        include: ['test/**/*.test.ts'],
        // They need programs that npm does not bring (`npm run test:browsers`, `npm run test:poolers`).
        exclude: ['test/browsers/**', 'test/poolers/**', 'node_modules/**'],
        globalSetup: ['test/peers/global-postgres.ts'],
        setupFiles: ['test/property-seed.ts'],
        // A process per worker: tests drive real servers, and a crash must not take the other files along.
        pool: 'forks',
        maxWorkers: 2,
        // Generous: it is there to end a test that hangs, not to judge a machine that is busy.
        testTimeout: 60_000,
        hookTimeout: 60_000,
        // As generous, for the same reason.
        expect: { poll: { timeout: 30_000 } },
        reporters: ['default'],
        // It knows the runtime by a release field that not every build of Node 26 carries.
        onConsoleLog: (log) => !log.includes('oidc-provider WARNING: Unsupported runtime'),
    },
});
