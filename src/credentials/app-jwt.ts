/** The JWT of an app behind a connection, for callers that speak to the provider as the app itself (http-api §8.2). */
import * as connections from '../store/connections.ts';
import { loadTarget } from '../store/renewal-targets.ts';
import { openConfig, withSecret } from './connection-secrets.ts';
import { credentialsPlace } from './credential-places.ts';
import type { Credentials } from './credential.ts';
import { effectiveMargin } from './expiry.ts';
import type { RenewalDependencies } from './leased-renewal.ts';

/** Where clients look for it in `connection_config`. It is sealed like every other secret there (E4). */
const memberName = 'jwtToken';

/**
 * Sees to it that the connection's configuration holds a JWT with life in it. Connections without an app are left alone.
 * No lease: signing asks nobody, and of two that sign at once the first stays.
 * @throws TokenFailure, VaultError
 */
export async function renewAppJwt({ db, vault, sources, strategies }: RenewalDependencies, id: string): Promise<void> {
    const target = await loadTarget(db, id);
    if (target === undefined) {
        return;
    }
    const credentials = JSON.parse(await vault.openFresh(target.sealed_credentials, credentialsPlace(target))) as Credentials;
    const strategy = await strategies.strategyFor(target, credentials);
    if (strategy?.signAppJwt === undefined) {
        return;
    }
    const stored = (await openConfig(vault, target))[memberName];
    if (await isFresh(stored, sources.now())) {
        return;
    }
    const sealed = await withSecret(vault, target, memberName, await strategy.signAppJwt());
    await connections.replaceSecrets(db, id, { from: target.sealed_secrets, to: sealed });
}

async function isFresh(jwt: unknown, now: number): Promise<boolean> {
    if (typeof jwt !== 'string') {
        return false;
    }
    const { decodeJwt } = await import('jose');
    try {
        const { iat = 0, exp = 0 } = decodeJwt(jwt);
        const life = { obtainedAt: iat * 1000, expiresAt: exp * 1000 };
        return life.expiresAt - now > effectiveMargin(life);
    } catch {
        // An import may have put anything there.
        return false;
    }
}
