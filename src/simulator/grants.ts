/** What the twins have given out: codes, tokens, and what became of them. In memory, for as long as the simulator runs. */
import type { Sources } from '../sources.ts';
import { invalidGrant, unauthorized } from './refusal.ts';

export interface Grant {
    readonly id: string;
    readonly slug: string;
    readonly clientId: string;
    readonly scopes: readonly string[];
    /** Whatever the twin of this entry has to remember. */
    readonly memory: Record<string, string>;
    isRevoked: boolean;
}

export interface Code {
    readonly slug: string;
    /** `undefined`: the page did not learn whose it is. */
    readonly clientId: string | undefined;
    readonly redirectUri: string;
    /** It came with an installation, unasked. */
    readonly isInstallation?: boolean;
    readonly scopes: readonly string[];
    /** Of S256; `undefined`: none was sent, so no verifier may be. */
    readonly challenge: string | undefined;
    readonly resource: string | undefined;
    readonly memory: Record<string, string>;
    readonly expiresAt: number;
    grant: Grant | undefined;
}

interface Token {
    readonly grant: Grant;
    readonly kind: 'access' | 'refresh';
    /** ms; `undefined`: never. */
    expiresAt: number | undefined;
    /** A newer refresh token has taken its place. */
    isSpent: boolean;
    isRevoked: boolean;
}

const codeLifetimeMs = 10 * 60 * 1000;
/** Oldest first out; enough for a morning of clicking and for a test that walks the whole catalogue. */
const capacity = 50_000;

export class Grants {
    readonly #sources: Sources;
    readonly #now: () => number;
    readonly #codes = new Map<string, Code>();
    readonly #tokens = new Map<string, Token>();
    readonly #publicClients = new Set<string>();

    constructor(sources: Sources, now: () => number) {
        this.#sources = sources;
        this.#now = now;
    }

    secret(prefix: string): string {
        return `${prefix}_${this.#sources.random(24).toString('base64url')}`;
    }

    issueCode(code: Omit<Code, 'expiresAt' | 'grant'>): string {
        const text = this.secret('code');
        remember(this.#codes, text, { ...code, expiresAt: this.#now() + codeLifetimeMs, grant: undefined });
        return text;
    }

    /** A code of this entry, not yet used. A second use ends what the first one gave (RFC 6749 §4.1.2). @throws Refusal */
    openCode(slug: string, text: string): Code {
        const code = this.#codes.get(text);
        if (code?.slug !== slug) throw invalidGrant('The authorization code is not one that this provider gave out.');
        if (code.grant !== undefined) {
            this.end(code.grant);
            throw invalidGrant('The authorization code was used before; the tokens of its first use are revoked.');
        }
        if (code.expiresAt < this.#now()) throw invalidGrant('The authorization code has expired.');
        return code;
    }

    /** Uses the code up. */
    redeem(code: Code, clientId: string): Grant {
        code.grant = this.begin({ ...code, clientId });
        return code.grant;
    }

    begin({ slug, clientId, scopes, memory }: Pick<Grant, 'slug' | 'clientId' | 'scopes' | 'memory'>): Grant {
        return { id: this.secret('grant'), slug, clientId, scopes, memory: { ...memory }, isRevoked: false };
    }

    /** @param lifetimeSeconds `undefined`: never expires. */
    issueAccess(grant: Grant, lifetimeSeconds: number | undefined, text = this.secret('access')): string {
        return this.#issue(text, grant, 'access', lifetimeSeconds);
    }

    issueRefresh(grant: Grant, text = this.secret('refresh')): string {
        return this.#issue(text, grant, 'refresh', undefined);
    }

    #issue(text: string, grant: Grant, kind: Token['kind'], lifetimeSeconds: number | undefined): string {
        const expiresAt = lifetimeSeconds === undefined ? undefined : this.#now() + lifetimeSeconds * 1000;
        remember(this.#tokens, text, { grant, kind, expiresAt, isSpent: false, isRevoked: false });
        return text;
    }

    /** A spent refresh token that comes back has two holders: the whole grant ends (RFC 9700 §4.14.2). @throws Refusal */
    openRefresh(slug: string, text: string): Grant {
        const token = this.#tokens.get(text);
        if (token?.grant.slug !== slug || token.kind !== 'refresh') throw invalidGrant('The refresh token is not one that this provider gave out.');
        if (token.grant.isRevoked || token.isRevoked) throw invalidGrant('The grant behind this refresh token was revoked.');
        if (token.isSpent) {
            this.end(token.grant);
            throw invalidGrant('The refresh token was already exchanged for a newer one; the whole grant is revoked.');
        }
        return token.grant;
    }

    spend(refreshToken: string): void {
        const token = this.#tokens.get(refreshToken);
        if (token !== undefined) token.isSpent = true;
    }

    /** The grant of a valid access token of this entry. @throws Refusal */
    openAccess(slug: string, text: string): Grant {
        const token = this.#tokens.get(text);
        if (token?.grant.slug !== slug || token.kind !== 'access') throw unauthorized('The access token is not one that this provider gave out.');
        if (token.grant.isRevoked || token.isRevoked) throw unauthorized('The access token was revoked.');
        if (token.expiresAt !== undefined && token.expiresAt < this.#now()) throw unauthorized('The access token has expired.');
        return token.grant;
    }

    /** The same token for longer. */
    prolong(grant: Grant, lifetimeSeconds: number): void {
        for (const token of this.#tokens.values()) {
            if (token.grant === grant && token.kind === 'access') token.expiresAt = this.#now() + lifetimeSeconds * 1000;
        }
    }

    /** Seconds an access token has left; `undefined` where it is not valid. */
    remaining(slug: string, text: string): number | undefined {
        const token = this.#tokens.get(text);
        const isValid = token?.grant.slug === slug && token.kind === 'access' && !token.grant.isRevoked && !token.isRevoked;
        const left = isValid ? ((token.expiresAt ?? Infinity) - this.#now()) / 1000 : 0;
        return left > 0 ? left : undefined;
    }

    /** A client that registered itself without a secret (RFC 7591), or is named by its metadata document. */
    addPublicClient(slug: string, clientId: string): void {
        this.#publicClients.add(`${slug} ${clientId}`);
    }

    isPublicClient(slug: string, clientId: string): boolean {
        return this.#publicClients.has(`${slug} ${clientId}`);
    }

    slugOf(text: string): string | undefined {
        return this.#tokens.get(text)?.grant.slug ?? this.#codes.get(text)?.slug;
    }

    /** RFC 7009 §2.1: a refresh token takes its access tokens along. */
    revoke(slug: string, text: string): void {
        const token = this.#tokens.get(text);
        if (token?.grant.slug !== slug) return;
        token.isRevoked = true;
        if (token.kind === 'refresh') this.end(token.grant);
    }

    end(grant: Grant): void {
        grant.isRevoked = true;
    }

    /** Everything one twin gave out; `undefined`: all twins. */
    revokeAll(slug: string | undefined): number {
        const grants = new Set([...this.#tokens.values()].map(({ grant }) => grant).filter((grant) => !grant.isRevoked));
        const ended = [...grants].filter((grant) => slug === undefined || grant.slug === slug);
        ended.forEach((grant) => this.end(grant));
        return ended.length;
    }
}

function remember<T>(map: Map<string, T>, key: string, value: T): void {
    map.delete(key);
    map.set(key, value);
    if (map.size > capacity) map.delete(map.keys().next().value!);
}
