/** WSSE user tokens as this vendor has them (auth-modes §11.1): the digest is base64 over the hex text of SHA-1. */
import { createHash } from 'node:crypto';
import { unauthorized } from './refusal.ts';
import type { Call } from './twin.ts';

const freshMs = 5 * 60_000;

/** Of a secret that is never sent nothing could be remembered: an unknown user is not believed. @throws Refusal */
export function assertWsse({ entry, world }: Call, token: string): void {
    const [, username, digest, nonce, created] =
        /^UsernameToken Username="([^"]+)", PasswordDigest="([^"]+)", Nonce="([0-9a-f]{32})", Created="([^"]+)"$/.exec(token) ?? [];
    if (username === undefined || digest === undefined || nonce === undefined || created === undefined) {
        throw unauthorized('The user token lacks a part, or has it in another form.');
    }
    const age = world.now() - Date.parse(created);
    if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(created) || Number.isNaN(age))
        throw unauthorized('"Created" is not an ISO time with milliseconds.');
    if (Math.abs(age) > freshMs) throw unauthorized('The user token is older than five minutes.');
    const hex = Buffer.from(digest, 'base64').toString('latin1');
    if (!/^[0-9a-f]{40}$/.test(hex)) throw unauthorized('The digest is not base64 over the hex text of SHA-1.');
    world.credentials.check(entry, { id: username, secrets: { username } });
    const password = world.credentials.secretOf(entry, username, 'password');
    if (password === undefined) throw unauthorized('This user is neither the sample nor one whose password was told with POST /_twin/secrets.');
    const expected = createHash('sha1').update(`${nonce}${created}${password}`).digest('hex');
    if (hex !== expected) throw unauthorized('The digest does not fit the password of this user.');
}
