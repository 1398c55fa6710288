import { apiKey } from './api-key.ts';
import { app } from './app.ts';
import type { AuthMode } from './auth-mode.ts';
import { awsSigV4 } from './aws-sigv4.ts';
import { basic } from './basic.ts';
import { bill } from './bill.ts';
import { custom } from './custom.ts';
import { jwt } from './jwt.ts';
import { none } from './none.ts';
import { oauth2ClientCredentials } from './oauth2-cc.ts';
import { oauth2 } from './oauth2.ts';
import { signature } from './signature.ts';
import { tba } from './tba.ts';

/** Adding an auth mode is one file and one line here. */
export const authModes: ReadonlyMap<string, AuthMode> = new Map(
    [oauth2, oauth2ClientCredentials, apiKey, basic, none, app, custom, tba, jwt, signature, bill, awsSigV4].map((mode) => [mode.name, mode]),
);
