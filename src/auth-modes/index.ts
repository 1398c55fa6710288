import { apiKey } from './api-key.ts';
import { app } from './app.ts';
import type { AuthMode } from './auth-mode.ts';
import { basic } from './basic.ts';
import { custom } from './custom.ts';
import { installPlugin } from './install-plugin.ts';
import { mcpOAuth2Generic } from './mcp-oauth2-generic.ts';
import { mcpOAuth2 } from './mcp-oauth2.ts';
import { none } from './none.ts';
import { oauth1 } from './oauth1.ts';
import { oauth2ClientCredentials } from './oauth2-cc.ts';
import { oauth2 } from './oauth2.ts';
import { twoStep } from './two-step.ts';

/** Adding an auth mode is one file and one line here. */
export const authModes: ReadonlyMap<string, AuthMode> = new Map(
    [oauth2, oauth2ClientCredentials, oauth1, apiKey, basic, none, app, custom, installPlugin, twoStep, mcpOAuth2, mcpOAuth2Generic].map((mode) => [
        mode.name,
        mode,
    ]),
);
