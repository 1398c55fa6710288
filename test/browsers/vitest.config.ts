import { defineConfig, mergeConfig } from 'vitest/config';
import main from '../../vitest.config.ts';

/** `npm run test:browsers`: needs Firefox, Chromium and WebKit installed, which `npm test` does not. */
export default mergeConfig(
    { ...main, test: { ...main.test, include: [], exclude: [] } },
    defineConfig({ test: { include: ['test/browsers/*.test.ts'] } }),
);
