/** The command line. Anything that keeps Valetkey from starting is one sentence on stderr and exit code 1. */
import { enableCompileCache } from 'node:module';

enableCompileCache();

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
    process.stderr.write(
        `Valetkey needs Node.js 22.19 or newer, but this is ${process.versions.node}; run it with "npm start", which brings its own.\n`,
    );
    process.exit(1);
}

// Loaded after the check, so that an old Node says this and not a syntax error.
const { run } = await import('./commands.ts');
await run(process.argv.slice(2));
