/** What providers say about installations: read from whatever comes, and signed as they document it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { installationWebhookOf } from '../../src/providers/installation-events.ts';
import type { Provider } from '../../src/providers/provider.ts';

const provider = (authMode: string, entry: Record<string, unknown> = {}): Provider => ({ authMode, entry }) as unknown as Provider;
const sentry = provider('OAUTH2', {
    installation: 'outbound',
    authorization_code_param_in_webhook: 'data.installation.code',
    webhook_response_metadata: ['installation.uuid'],
});
const github = provider('CUSTOM');
const approvals = installationWebhookOf(github)!;
const outbound = installationWebhookOf(sentry)!;

test('only apps that are approved and outbound integrations wait for installations', () => {
    for (const each of [provider('OAUTH2'), provider('APP'), provider('INSTALL_PLUGIN'), provider('API_KEY', { installation: 'outbound' })]) {
        expect(installationWebhookOf(each)).toBeUndefined();
    }
});

describe('signatures', () => {
    // docs.github.com, "Validating webhook deliveries": testing the webhook payload validation
    test('GitHub’s own example', () => {
        expect(approvals.expectedSignature('Hello, World!', { clientSecret: null, webhookSecret: "It's a Secret to Everybody" })).toBe(
            'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
        );
    });

    test('with no secret to sign with, none is right', () => {
        for (const nothing of [null, '']) {
            expect(approvals.expectedSignature('', { clientSecret: 'c', webhookSecret: nothing })).toBeUndefined();
            expect(outbound.expectedSignature('', { clientSecret: nothing, webhookSecret: 'w' })).toBeUndefined();
        }
    });
});

describe('events', () => {
    test('an approval names the app, who asked, and the installation', () => {
        const body = { action: 'created', installation: { id: 12, app_id: 7 }, requester: { login: 'ann' } };
        expect(approvals.read({ 'x-github-event': 'installation' }, body, github)).toEqual({
            awaitedBy: { app_id: '7', handle: 'ann' },
            metadata: {},
            installationId: '12',
        });
    });

    test('an outbound installation names who installed it, its code, and what the entry takes over', () => {
        const body = { action: 'created', actor: { id: 9 }, data: { installation: { uuid: 'u', code: 'c' } } };
        expect(outbound.read({ 'sentry-hook-resource': 'installation' }, body, sentry)).toEqual({
            awaitedBy: { actor: '9' },
            metadata: { 'installation.uuid': 'u' },
            code: 'c',
        });
    });

    test('whatever else comes is no event, and no error', () => {
        const value = fc.oneof({ withCrossShrink: true }, fc.jsonValue(), fc.constant(null), fc.string());
        const body = fc.record(
            { action: fc.constantFrom('created', 'x'), actor: value, data: value, installation: value, requester: value },
            { requiredKeys: ['action'] },
        );
        fc.assert(
            fc.property(body, (sent) => {
                for (const [webhook, from] of [
                    [approvals, github],
                    [outbound, sentry],
                ] as const) {
                    const event = webhook.read({ 'x-github-event': 'installation', 'sentry-hook-resource': 'installation' }, sent, from);
                    // Every value that picks a connection is a text that is not empty.
                    expect(Object.values(event?.awaitedBy ?? {}).every((text) => typeof text === 'string' && text !== '')).toBe(true);
                }
            }),
        );
    });
});
