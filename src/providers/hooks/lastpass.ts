import { verdictOf } from './answers.ts';
import type { VerificationScript } from './hook.ts';

export const lastpass: VerificationScript = async ({ credentials, call }) => {
    const [cid, provhash] = credentials.type === 'BASIC' ? [credentials.username, credentials.password] : [];
    return verdictOf(
        await call({ method: 'POST', endpoint: '/enterpriseapi.php', json: { cid, provhash, cmd: 'getuserdata' } }),
        (body) => !JSON.stringify(body).includes('Authorization Error'),
    );
};
