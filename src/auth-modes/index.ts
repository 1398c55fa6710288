import { apiKey } from './api-key.ts';
import { app } from './app.ts';
import type { AuthMode } from './auth-mode.ts';
import { awsSigV4 } from './aws-sigv4.ts';
import { basic } from './basic.ts';
import { bill } from './bill.ts';
import { custom } from './custom.ts';
import { installPlugin } from './install-plugin.ts';
import { mcpOAuth2Generic } from './mcp-oauth2-generic.ts';
import { mcpOAuth2 } from './mcp-oauth2.ts';
import { jwt } from './jwt.ts';
import { none } from './none.ts';
import { oauth1 } from './oauth1.ts';
import { oauth2ClientCredentials } from './oauth2-cc.ts';
import { oauth2 } from './oauth2.ts';
import { signature } from './signature.ts';
import { tba } from './tba.ts';
import { twoStep } from './two-step.ts';

const all: readonly AuthMode[] = [
    oauth2,
    oauth2ClientCredentials,
    oauth1,
    apiKey,
    basic,
    none,
    app,
    custom,
    installPlugin,
    twoStep,
    tba,
    jwt,
    signature,
    bill,
    awsSigV4,
    mcpOAuth2,
    mcpOAuth2Generic,
];

/** Adding an auth mode is one file and one line here. */
export const authModes: ReadonlyMap<string, AuthMode> = new Map(all.map((mode) => [mode.name, mode]));
