/** Private keys as people paste them. */
import { createPrivateKey, type KeyObject } from 'node:crypto';

const armour = /-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END \1-----/;
const base64 = /^[A-Za-z0-9+/]+={0,2}$/;
const derKinds = ['pkcs8', 'pkcs1', 'sec1'] as const;

/**
 * PEM in any of its kinds, also on one line or with `\n` spelled out; the base64 of a key without the lines around it; and either
 * of them encoded once more, as SAP and some secret stores hand them out. `undefined`: none of these, or locked by a passphrase.
 */
export const readPrivateKey = (text: string): KeyObject | undefined => readOnce(text) ?? readOnce(decoded(text));

function readOnce(text: string): KeyObject | undefined {
    const content = (armour.exec(text.replaceAll('\\n', '\n'))?.[2] ?? text).replaceAll(/\\n|\s/g, '');
    if (!base64.test(content)) return undefined;
    const der = Buffer.from(content, 'base64');
    for (const type of derKinds) {
        try {
            return createPrivateKey({ key: der, format: 'der', type });
        } catch {
            // of another kind
        }
    }
    return undefined;
}

/** SAP puts `###` and a name behind the key. */
function decoded(text: string): string {
    const content = (armour.exec(text.replaceAll('\\n', '\n'))?.[2] ?? text).replaceAll(/\\n|\s/g, '');
    return Buffer.from(content, 'base64').toString('latin1').split('###')[0]!;
}
