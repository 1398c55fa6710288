/** Builds the pages that run in a browser. The document around them is the server's, which reads the manifest. */
import { join } from 'node:path';
import { defineConfig } from 'vite';

export default defineConfig({
    root: join(import.meta.dirname, 'src/ui/connect'),
    // Assets find each other wherever a proxy puts the page.
    base: './',
    publicDir: false,
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: {
        outDir: join(import.meta.dirname, 'dist/ui/connect'),
        emptyOutDir: true,
        manifest: 'manifest.json',
        // The policy of the page allows no `data:` scripts or styles.
        assetsInlineLimit: 0,
        modulePreload: { polyfill: false },
        rolldownOptions: { input: join(import.meta.dirname, 'src/ui/connect/main.tsx') },
    },
});
