/**
 * Webhooks in which a provider says that an app was installed: how they are signed, and what they say (auth-modes §4.3, §12.2).
 * Pure: which connection is meant, and what becomes of it, is `connect/`'s.
 */
import { createHmac } from 'node:crypto';
import type { Provider } from './provider.ts';

/** Names in lower case. */
export type WebhookHeaders = Readonly<Record<string, unknown>>;

/** What a provider signs with. */
export interface WebhookSecrets {
    clientSecret: string | null;
    /** Set at the integration, or made from its app (`appWebhookSecret`). */
    webhookSecret: string | null;
}

export interface InstallationEvent {
    /** The configuration of the connection that waits for it. */
    awaitedBy: Readonly<Record<string, string>>;
    /** Values that the entry may take over from webhooks. */
    metadata: Readonly<Record<string, unknown>>;
    /** Exchanged for the tokens (outbound). */
    code?: string;
    /** Whose tokens the app may have (CUSTOM). */
    installationId?: string;
}

export interface InstallationWebhook {
    /** Carries the signature of the raw body. */
    readonly signatureHeader: string;
    /** What the header has to be. `undefined`: the integration has no secret to sign with, so nothing can be believed. */
    expectedSignature(rawBody: string, secrets: WebhookSecrets): string | undefined;
    /** @returns `undefined` for an event of another kind */
    read(headers: WebhookHeaders, body: Readonly<Record<string, unknown>>, provider: Provider): InstallationEvent | undefined;
}

/** `undefined`: no installation of this provider is waited for. */
export const installationWebhookOf = ({ authMode, entry }: Provider): InstallationWebhook | undefined =>
    authMode === 'CUSTOM' ? approvals : authMode === 'OAUTH2' && entry.installation === 'outbound' ? outbound : undefined;

const hmac = (secret: string, rawBody: string): string => createHmac('sha256', secret).update(rawBody).digest('hex');

/** GitHub: an owner approves what a member has requested. */
const approvals: InstallationWebhook = {
    signatureHeader: 'x-hub-signature-256',
    expectedSignature: (rawBody, { webhookSecret }) => (webhookSecret ? `sha256=${hmac(webhookSecret, rawBody)}` : undefined),
    read(headers, body) {
        const id = textAt(body, 'installation.id');
        const appId = textAt(body, 'installation.app_id');
        const requester = textAt(body, 'requester.login');
        const isCreated = headers['x-github-event'] === 'installation' && body['action'] === 'created';
        return isCreated && id && appId && requester
            ? { awaitedBy: { app_id: appId, handle: requester }, metadata: {}, installationId: id }
            : undefined;
    },
};

/** Sentry: the user installs the integration there. */
const outbound: InstallationWebhook = {
    signatureHeader: 'sentry-hook-signature',
    expectedSignature: (rawBody, { clientSecret }) => (clientSecret ? hmac(clientSecret, rawBody) : undefined),
    read(headers, body, { entry }) {
        const actor = textAt(body, 'actor.id');
        const code = textAt(body, entry.authorization_code_param_in_webhook ?? '');
        if (headers['sentry-hook-resource'] !== 'installation' || body['action'] !== 'created' || !actor || !code) {
            return undefined;
        }
        const names = entry.webhook_response_metadata ?? [];
        return { awaitedBy: { actor }, metadata: Object.fromEntries(names.map((name) => [name, valueAt(body, `data.${name}`)])), code };
    },
};

function valueAt(body: unknown, path: string): unknown {
    let value = body;
    for (const name of path.split('.')) {
        const holder = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
        value = Object.hasOwn(holder, name) ? holder[name] : undefined;
    }
    return value;
}

/** Ids are numbers at some providers. */
function textAt(body: unknown, path: string): string | undefined {
    const value = valueAt(body, path);
    return typeof value === 'string' && value !== '' ? value : typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : undefined;
}
