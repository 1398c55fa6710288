import { defineConfig, mergeConfig } from 'vitest/config';
import main from '../../vitest.config.ts';

/** `npm run test:poolers`: tests of `npm test` that use the database hard, once more through a pooler. Needs PgBouncer installed. */
export default mergeConfig(
    { ...main, test: { ...main.test, include: [], exclude: [], globalSetup: [] } },
    defineConfig({
        test: {
            globalSetup: ['test/poolers/pgbouncer.ts'],
            // Hints (LISTEN) do not come through such a pooler; all that they do is to save a pause.
            testNamePattern: /^(?!told by the process that renews|the replica that renews is killed)/,
            include: [
                'test/e2e/replicas.test.ts',
                'test/e2e/lifecycle.test.ts',
                'test/credentials/renewal-coordination.test.ts',
                'test/http/connections.test.ts',
                'test/webhooks/delivery.test.ts',
            ],
        },
    }),
);
