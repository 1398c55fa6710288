/** What a webhook URL may be when it is written: reachable by policy, and not this instance itself (webhooks §1.1). */
import { EgressError } from '../egress/egress.ts';
import type { Services } from './services.ts';

/** @throws Error with a sentence for the caller */
export function assertWebhookUrl({ egress, config }: Pick<Services, 'egress' | 'config'>, text: string): void {
    const url = new URL(text);
    if (hostOf(url) === hostOf(new URL(config.publicUrl))) {
        throw new Error('This is the address of this Valetkey itself');
    }
    try {
        egress.assertUrl(url);
    } catch (error) {
        if (error instanceof EgressError) {
            throw new Error(
                'The outbound policy does not allow this URL: it must be https and public, or its host must be listed in VALETKEY_EGRESS_ALLOW',
                { cause: error },
            );
        }
        throw error;
    }
}

/** With its port, without the root's dot. */
const hostOf = (url: URL): string => `${url.hostname.replace(/\.+$/, '')}:${url.port}`;
