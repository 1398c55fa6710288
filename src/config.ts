/**
 * Environment variables → one typed, validated object. The only reader of `process.env`.
 * Names and aliases are listed in README.md ("Configuration"); an alias is used when its first name is absent.
 */
import { resolve } from 'node:path';
import { z } from 'zod';

/** A reason not to start: one sentence for a person, naming the fix. `main.ts` prints it and exits with 1. */
export class StartupError extends Error {
    override readonly name = 'StartupError';
}

export interface EmbeddedDatabase {
    kind: 'embedded';
    dataDir: string;
}

export interface PostgresDatabase {
    kind: 'postgres';
    url: string;
    /** Most connections the process opens for reads and writes together. */
    poolSize: number;
}

/** One key of the operator's ring. `name` is for people; keys are recognised by their fingerprint. */
export interface RingKey {
    name: string;
    key: Buffer;
}

export interface Config {
    host: string;
    port: number;
    /** Public base URL without a trailing slash. The OAuth callback is `<publicUrl>/oauth/callback`. */
    publicUrl: string;
    connectUiUrl: string;
    database: EmbeddedDatabase | PostgresDatabase;
    /** Newest first. `undefined`: the embedded mode's key file is used. */
    encryptionKeys: readonly RingKey[] | undefined;
    /** Environment name → fixed API key. */
    secretKeys: ReadonlyMap<string, string>;
    providersFile: string | undefined;
    egressAllow: readonly string[];
    /** Requests per minute and API key. */
    rateLimitPerMinute: number;
    roles: ReadonlySet<'api' | 'worker'>;
    logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
    bodyLimitBytes: number;
}

type Variables = Readonly<Record<string, string | undefined>>;

const uuidV4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;
const minimumKeyLength = 32;

/** @throws StartupError naming the variable and the expected form, never the value of a secret one. */
export function loadConfig(variables: Variables = process.env): Config {
    const read = (...names: string[]): string | undefined =>
        names.map((name) => variables[name]?.trim()).find((value) => value !== undefined && value !== '');

    const port = readPort(read('PORT', 'SERVER_PORT') ?? '3003', 'PORT');
    const database = readDatabase(read, variables);
    const publicUrl = readUrl(read('VALETKEY_PUBLIC_URL', 'NANGO_SERVER_URL') ?? `http://localhost:${port}`, 'VALETKEY_PUBLIC_URL');
    return {
        // The embedded mode is for one person on one machine: it is not offered to the network unless told to.
        host: read('HOST') ?? (database.kind === 'embedded' ? '127.0.0.1' : '0.0.0.0'),
        port,
        publicUrl,
        connectUiUrl: readUrl(
            read('VALETKEY_CONNECT_UI_URL', 'NANGO_PUBLIC_CONNECT_URL') ?? `${publicUrl}/connect-ui`,
            'VALETKEY_CONNECT_UI_URL',
        ),
        database,
        encryptionKeys: readKeyRing(read('VALETKEY_ENCRYPTION_KEY', 'NANGO_ENCRYPTION_KEY')),
        secretKeys: readSecretKeys(variables),
        providersFile: optionalPath(read('VALETKEY_PROVIDERS')),
        egressAllow: splitList(read('VALETKEY_EGRESS_ALLOW')),
        rateLimitPerMinute: readCount(read('VALETKEY_RATE_LIMIT_PER_MIN', 'DEFAULT_RATE_LIMIT_PER_MIN') ?? '6000', 'VALETKEY_RATE_LIMIT_PER_MIN'),
        roles: readRoles(read('VALETKEY_ROLES') ?? 'api,worker'),
        logLevel: readLogLevel(read('LOG_LEVEL') ?? 'info'),
        bodyLimitBytes: readSize(read('VALETKEY_BODY_LIMIT', 'NANGO_SERVER_PUBLIC_BODY_LIMIT') ?? '75mb', 'VALETKEY_BODY_LIMIT'),
    };
}

function readDatabase(read: (...names: string[]) => string | undefined, variables: Variables): Config['database'] {
    const poolSize = readCount(read('VALETKEY_DB_POOL_MAX', 'NANGO_DB_POOL_MAX') ?? '10', 'VALETKEY_DB_POOL_MAX');
    const url = read('DATABASE_URL', 'VALETKEY_DATABASE_URL', 'NANGO_DATABASE_URL') ?? composeDatabaseUrl(variables);
    if (url === undefined) {
        return { kind: 'embedded', dataDir: resolve(read('VALETKEY_DATA_DIR') ?? './data') };
    }
    if (!URL.canParse(url) || !['postgres:', 'postgresql:'].includes(new URL(url).protocol)) {
        throw new StartupError('DATABASE_URL must look like postgres://user:password@host:5432/database.');
    }
    return { kind: 'postgres', url, poolSize };
}

/** `NANGO_DB_*`, as existing deployments have them. */
function composeDatabaseUrl(variables: Variables): string | undefined {
    const host = variables['NANGO_DB_HOST'];
    if (!host) {
        return undefined;
    }
    const url = new URL('postgres://localhost');
    url.hostname = host;
    url.port = variables['NANGO_DB_PORT'] ?? '5432';
    url.username = variables['NANGO_DB_USER'] ?? 'nango';
    url.password = variables['NANGO_DB_PASSWORD'] ?? 'nango';
    url.pathname = `/${variables['NANGO_DB_NAME'] ?? 'nango'}`;
    if (variables['NANGO_DB_SSL'] === 'true') {
        url.searchParams.set('sslmode', 'no-verify');
    }
    return url.toString();
}

/** One base64 key, or a ring `id:base64,id:base64` with the newest first (E2). */
function readKeyRing(text: string | undefined): RingKey[] | undefined {
    if (text === undefined) {
        return undefined;
    }
    return text.split(',').map((part, index) => {
        const separator = part.indexOf(':');
        const name = separator < 0 ? `key ${index + 1}` : part.slice(0, separator).trim();
        const key = Buffer.from(part.slice(separator + 1).trim(), 'base64');
        if (key.length !== minimumKeyLength) {
            throw new StartupError(
                `VALETKEY_ENCRYPTION_KEY (${name}) must be base64 of exactly 32 bytes, but decodes to ${key.length}; make one with: openssl rand -base64 32`,
            );
        }
        return { name, key };
    });
}

function readSecretKeys(variables: Variables): Map<string, string> {
    const keys = new Map<string, string>();
    for (const [name, value] of Object.entries(variables)) {
        const environment = /^(?:VALETKEY|NANGO)_SECRET_KEY_(\w+)$/.exec(name)?.[1]?.toLowerCase();
        if (environment === undefined || !value?.trim()) {
            continue;
        }
        const key = value.trim();
        if (!uuidV4.test(key) && (key.length < minimumKeyLength || !/^[A-Za-z0-9_-]+$/.test(key))) {
            throw new StartupError(`${name} must be a UUID v4, or at least ${minimumKeyLength} letters, digits, - or _.`);
        }
        if (!keys.has(environment) || name.startsWith('VALETKEY_')) {
            keys.set(environment, key);
        }
    }
    return keys;
}

function readPort(text: string, name: string): number {
    const port = z.coerce.number().int().min(0).max(65535).safeParse(text);
    if (!port.success) {
        throw new StartupError(`${name} must be a port number between 0 and 65535.`);
    }
    return port.data;
}

function readCount(text: string, name: string): number {
    const count = z.coerce.number().int().min(1).safeParse(text);
    if (!count.success) {
        throw new StartupError(`${name} must be a whole number above zero.`);
    }
    return count.data;
}

function readUrl(text: string, name: string): string {
    if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
        throw new StartupError(`${name} must be an absolute http(s) URL, such as https://auth.example.com.`);
    }
    return text.replace(/\/+$/, '');
}

function readRoles(text: string): Set<'api' | 'worker'> {
    const roles = z.array(z.enum(['api', 'worker'])).min(1).safeParse(splitList(text));
    if (!roles.success) {
        throw new StartupError('VALETKEY_ROLES must name at least one of: api, worker.');
    }
    return new Set(roles.data);
}

function readLogLevel(text: string): Config['logLevel'] {
    const level = z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).safeParse(text.toLowerCase());
    if (!level.success) {
        throw new StartupError('LOG_LEVEL must be one of: fatal, error, warn, info, debug, trace, silent.');
    }
    return level.data;
}

function readSize(text: string, name: string): number {
    const match = /^(\d+)\s*(b|kb|mb)?$/i.exec(text);
    if (!match) {
        throw new StartupError(`${name} must be a size such as 75mb.`);
    }
    const unit = { b: 1, kb: 1024, mb: 1024 * 1024 }[(match[2] ?? 'b').toLowerCase() as 'b' | 'kb' | 'mb'];
    return Number(match[1]) * unit;
}

const splitList = (text: string | undefined): string[] =>
    (text ?? '').split(',').map((part) => part.trim()).filter((part) => part !== '');

const optionalPath = (path: string | undefined): string | undefined => (path === undefined ? undefined : resolve(path));
