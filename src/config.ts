/**
 * Environment variables → one typed, validated object. The only reader of `process.env`.
 * Names and aliases are listed in README.md ("Configuration"); an alias is used when its first name is absent.
 */
import { resolve } from 'node:path';
import ipaddr from 'ipaddr.js';
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
    /** Where it was read from, when it is the key file of the embedded mode. */
    file?: string;
}

export interface Config {
    host: string;
    port: number;
    /** Public base URL without a trailing slash. The OAuth callback is `<publicUrl>/oauth/callback`. */
    publicUrl: string;
    connectUiUrl: string;
    /** Where the outcome socket is. */
    websocketsPath: string;
    connectUi: {
        isServed: boolean;
        /** Where it is also served at the root; `undefined`: nowhere. */
        port: number | undefined;
        /** Who may put it into a frame (CSP `frame-ancestors`). */
        frameAncestors: readonly string[];
    };
    database: EmbeddedDatabase | PostgresDatabase;
    /** Newest first. `undefined`: the embedded mode's key file is used. */
    encryptionKeys: readonly RingKey[] | undefined;
    /** Environment name → fixed API key. */
    secretKeys: ReadonlyMap<string, string>;
    /** The fixed API key of the account. */
    accountKey: string | undefined;
    providersFile: string | undefined;
    /** Port of the simulated providers. */
    simulatorPort: number;
    /** `NODE_ENV=production`: nothing may be simulated. */
    isProduction: boolean;
    egressAllow: readonly string[];
    /** Requests per minute and API key. */
    rateLimitPerMinute: number;
    /** How often typed-in credentials are tested at their provider; 0: not at all. */
    credentialTestMs: number;
    /** How long routine renewals stay in the operation log. */
    renewalLogKeptMs: number;
    roles: ReadonlySet<'api' | 'worker'>;
    logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
    bodyLimitBytes: number;
    /** Longest OAuth 2.0 token that an import may bring. */
    oauth2TokenMaxLength: number;
    /**
     * Who may say for whom a request comes (`X-Forwarded-For`): so many proxies in front, or their addresses and CIDRs.
     * Default nobody, because limits and restrictions by address would be the caller's to choose.
     */
    trustedProxies: number | readonly string[];
    /** Where `GET /metrics` answers, without authentication; `undefined`: nowhere. */
    metrics: { host: string; port: number; labelsProvider: boolean } | undefined;
}

type Variables = Readonly<Record<string, string | undefined>>;

const uuidV4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;
const minimumKeyLength = 32;

/** A variable's text, with the name under which it was found: errors name what the operator wrote, alias or not. */
interface Setting {
    name: string;
    text: string;
}

type Read = (...names: string[]) => Setting | undefined;

/** @throws StartupError naming the variable and the expected form, never the value of a secret one. */
export function loadConfig(variables: Variables = process.env, { isSimulating = false }: { isSimulating?: boolean } = {}): Config {
    const read: Read = (...names) => names.map((name) => ({ name, text: variables[name]?.trim() ?? '' })).find((setting) => setting.text !== '');
    const readOr = (fallback: string, ...names: [string, ...string[]]): Setting => read(...names) ?? { name: names[0], text: fallback };

    const port = readPort(readOr('3003', 'PORT', 'SERVER_PORT'));
    // Tokens of simulated providers are kept apart from real ones.
    const dataDir = isSimulating ? './data-simulate' : './data';
    const database = readDatabase(read, readOr('10', 'VALETKEY_DB_POOL_MAX', 'NANGO_DB_POOL_MAX'), dataDir);
    const publicUrl = readUrl(readOr(`http://localhost:${port}`, 'VALETKEY_PUBLIC_URL', 'NANGO_SERVER_URL'));
    // The embedded mode is for one person on one machine: it is not offered to the network unless told to.
    const host = read('HOST')?.text ?? (database.kind === 'embedded' ? '127.0.0.1' : '0.0.0.0');
    const metricsPort = read('VALETKEY_METRICS_PORT');
    const connectUiPort = read('VALETKEY_CONNECT_UI_PORT', 'NANGO_CONNECT_UI_PORT');
    return {
        host,
        port,
        publicUrl,
        connectUiUrl: readUrl(readOr(`${publicUrl}/connect-ui`, 'VALETKEY_CONNECT_UI_URL', 'NANGO_PUBLIC_CONNECT_URL')),
        websocketsPath: readPath(readOr('/', 'VALETKEY_WEBSOCKETS_PATH', 'NANGO_SERVER_WEBSOCKETS_PATH')),
        connectUi: {
            isServed: readFlag(readOr('true', 'VALETKEY_SERVE_CONNECT_UI', 'FLAG_SERVE_CONNECT_UI')),
            port: connectUiPort && readPort(connectUiPort),
            frameAncestors: readFrameAncestors(readOr('*', 'VALETKEY_CONNECT_UI_FRAME_ANCESTORS')),
        },
        database,
        encryptionKeys: readKeyRing(read('VALETKEY_ENCRYPTION_KEY', 'NANGO_ENCRYPTION_KEY')),
        secretKeys: readSecretKeys(variables),
        accountKey: readAccountKey(read('VALETKEY_ACCOUNT_KEY')),
        providersFile: optionalPath(read('VALETKEY_PROVIDERS')?.text),
        simulatorPort: readPort(readOr('3103', 'VALETKEY_SIMULATOR_PORT')),
        isProduction: read('NODE_ENV')?.text === 'production',
        egressAllow: splitList(read('VALETKEY_EGRESS_ALLOW')?.text),
        rateLimitPerMinute: readCount(readOr('6000', 'VALETKEY_RATE_LIMIT_PER_MIN', 'DEFAULT_RATE_LIMIT_PER_MIN')),
        credentialTestMs: readInterval(readOr('24h', 'VALETKEY_CREDENTIAL_TEST_INTERVAL')),
        renewalLogKeptMs: readLogDays(readOr('3d', 'VALETKEY_RENEWAL_LOG_KEPT')),
        roles: readRoles(readOr('api,worker', 'VALETKEY_ROLES')),
        logLevel: readLogLevel(readOr('info', 'LOG_LEVEL')),
        bodyLimitBytes: readSize(readOr('75mb', 'VALETKEY_BODY_LIMIT', 'NANGO_SERVER_PUBLIC_BODY_LIMIT')),
        oauth2TokenMaxLength: readCount(readOr('16384', 'VALETKEY_OAUTH2_TOKEN_MAX_LENGTH', 'NANGO_SERVER_OAUTH2_TOKEN_MAX_LENGTH')),
        trustedProxies: readProxies(readOr('0', 'VALETKEY_TRUST_PROXY')),
        metrics: metricsPort && {
            host: read('VALETKEY_METRICS_HOST')?.text ?? host,
            port: readPort(metricsPort),
            labelsProvider: readFlag(readOr('false', 'VALETKEY_METRICS_INCLUDE_PROVIDER', 'NANGO_METRICS_INCLUDE_PROVIDER_CONFIG_KEY')),
        },
    };
}

function readDatabase(read: Read, pool: Setting, dataDir: string): Config['database'] {
    const poolSize = readCount(pool);
    const url = read('DATABASE_URL', 'VALETKEY_DATABASE_URL', 'NANGO_DATABASE_URL') ?? composeDatabaseUrl(read);
    if (url === undefined) {
        return { kind: 'embedded', dataDir: resolve(read('VALETKEY_DATA_DIR')?.text ?? dataDir) };
    }
    if (!URL.canParse(url.text) || !['postgres:', 'postgresql:'].includes(new URL(url.text).protocol)) {
        throw new StartupError(`${url.name} must look like postgres://user:password@host:5432/database.`);
    }
    return { kind: 'postgres', url: url.text, poolSize };
}

/** `NANGO_DB_*`, as existing deployments have them. */
function composeDatabaseUrl(read: Read): Setting | undefined {
    const host = read('NANGO_DB_HOST');
    if (host === undefined) {
        return undefined;
    }
    const url = new URL('postgres://unset');
    url.hostname = host.text;
    if (url.hostname === 'unset') {
        // the setter ignores what it cannot use
        throw new StartupError(`${host.name} must be a host name or an address.`);
    }
    url.port = String(readPort(read('NANGO_DB_PORT') ?? { name: 'NANGO_DB_PORT', text: '5432' }));
    // the setters leave a % as it is
    const encoded = (name: string): string => encodeURIComponent(read(name)?.text ?? 'nango');
    url.username = encoded('NANGO_DB_USER');
    url.password = encoded('NANGO_DB_PASSWORD');
    url.pathname = `/${encoded('NANGO_DB_NAME')}`;
    if (read('NANGO_DB_SSL')?.text === 'true') {
        url.searchParams.set('sslmode', 'no-verify');
    }
    return { name: host.name, text: url.toString() };
}

/** One base64 key, or a ring `id:base64,id:base64` with the newest first (E2). */
function readKeyRing(setting: Setting | undefined): RingKey[] | undefined {
    return setting?.text.split(',').map((part, index) => {
        const separator = part.indexOf(':');
        const name = separator < 0 ? `key ${index + 1}` : part.slice(0, separator).trim();
        const key = Buffer.from(part.slice(separator + 1).trim(), 'base64');
        if (key.length !== minimumKeyLength) {
            // By its place, not by its name: in a ring written the wrong way round the name is the key.
            throw new StartupError(
                `${setting.name} (key ${index + 1}) must be base64 of exactly 32 bytes, but decodes to ${key.length}; make one with: openssl rand -base64 32`,
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
        const key = readFixedKey({ name, text: value.trim() });
        if (!keys.has(environment) || name.startsWith('VALETKEY_')) {
            keys.set(environment, key);
        }
    }
    return keys;
}

const readAccountKey = (setting: Setting | undefined): string | undefined => setting && readFixedKey(setting);

function readFixedKey({ name, text }: Setting): string {
    if (!uuidV4.test(text) && (text.length < minimumKeyLength || !/^[A-Za-z0-9_-]+$/.test(text))) {
        throw new StartupError(`${name} must be a UUID v4, or at least ${minimumKeyLength} letters, digits, - or _.`);
    }
    // the same key in either case
    return uuidV4.test(text) ? text.toLowerCase() : text;
}

function readPort({ name, text }: Setting): number {
    const port = z.coerce.number().int().min(0).max(65535).safeParse(text);
    if (!port.success) {
        throw new StartupError(`${name} must be a port number between 0 and 65535.`);
    }
    return port.data;
}

function readFlag({ name, text }: Setting): boolean {
    if (!/^(true|false)$/i.test(text)) {
        throw new StartupError(`${name} must be true or false.`);
    }
    return text.toLowerCase() === 'true';
}

function readCount({ name, text }: Setting): number {
    const count = z.coerce.number().int().min(1).safeParse(text);
    if (!count.success) {
        throw new StartupError(`${name} must be a whole number above zero.`);
    }
    return count.data;
}

/** A count of proxies, or who they are. */
function readProxies({ name, text }: Setting): number | readonly string[] {
    if (/^\d{1,2}$/.test(text)) {
        return Number(text);
    }
    const entries = splitList(text);
    for (const entry of entries) {
        if (!ipaddr.isValid(entry) && !ipaddr.isValidCIDR(entry)) {
            throw new StartupError(`${name}: "${entry}" is neither a number of proxies nor an IP address or CIDR.`);
        }
    }
    return entries;
}

function readUrl({ name, text }: Setting): string {
    if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
        throw new StartupError(`${name} must be an absolute http(s) URL, such as https://auth.example.com.`);
    }
    return text.replace(/\/+$/, '');
}

/** As clients resolve it: a slash in front may be missing. */
function readPath({ name, text }: Setting): string {
    if (!/^[\w./~-]+$/.test(text)) {
        throw new StartupError(`${name} must be a path, such as / or /ws.`);
    }
    return text.replace(/^\/*/, '/');
}

/** Becomes part of a header: origins, with `*.` for sub-domains, or one of the words that CSP has. */
function readFrameAncestors({ name, text }: Setting): string[] {
    const sources = text.split(/[\s,]+/).filter((source) => source !== '');
    const isKnown = (source: string): boolean =>
        /^(?:\*|'self'|'none'|[a-z][a-z0-9+.-]*:\/\/(?:\*\.)?[a-z0-9.-]+(?::(?:\d{1,5}|\*))?)$/i.test(source);
    if (sources.length === 0 || !sources.every(isKnown)) {
        throw new StartupError(`${name} must list origins, such as https://app.example.com or https://*.example.com, or be * for anybody.`);
    }
    return sources;
}

function readRoles({ name, text }: Setting): Set<'api' | 'worker'> {
    const roles = z
        .array(z.enum(['api', 'worker']))
        .min(1)
        .safeParse(splitList(text));
    if (!roles.success) {
        throw new StartupError(`${name} must name at least one of: api, worker.`);
    }
    return new Set(roles.data);
}

function readLogLevel({ name, text }: Setting): Config['logLevel'] {
    const level = z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).safeParse(text.toLowerCase());
    if (!level.success) {
        throw new StartupError(`${name} must be one of: fatal, error, warn, info, debug, trace, silent.`);
    }
    return level.data;
}

function readSize({ name, text }: Setting): number {
    const match = /^(\d+)\s*(b|kb|mb)?$/i.exec(text);
    if (!match) {
        throw new StartupError(`${name} must be a size such as 75mb.`);
    }
    const unit = { b: 1, kb: 1024, mb: 1024 * 1024 }[(match[2] ?? 'b').toLowerCase() as 'b' | 'kb' | 'mb'];
    return Number(match[1]) * unit;
}

/** `0`, or an hour and more: each connection costs its provider a call. */
function readInterval({ name, text }: Setting): number {
    const match = /^(\d{1,5})\s*([mhd])$/i.exec(text);
    const unit = { m: 60_000, h: 3_600_000, d: 86_400_000 }[(match?.[2] ?? '').toLowerCase()] ?? 0;
    const ms = Number(match?.[1] ?? 0) * unit;
    if (text !== '0' && ms < 3_600_000) {
        throw new StartupError(`${name} must be 0, or an interval of an hour and more, such as 24h.`);
    }
    return ms;
}

/** Whole days, for the log is kept by the day; no more than all else in it. */
function readLogDays({ name, text }: Setting): number {
    const days = Number(/^(\d{1,2})\s*d$/i.exec(text)?.[1] ?? 0);
    if (days < 1 || days > 15) {
        throw new StartupError(`${name} must be a number of days from 1d to 15d.`);
    }
    return days * 86_400_000;
}

const splitList = (text: string | undefined): string[] =>
    (text ?? '')
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== '');

const optionalPath = (path: string | undefined): string | undefined => (path === undefined ? undefined : resolve(path));
