import { apiKey } from './api-key.ts';
import { app } from './app.ts';
import type { AuthMode } from './auth-mode.ts';
import { basic } from './basic.ts';
import { custom } from './custom.ts';
import { mcpOAuth2Generic } from './mcp-oauth2-generic.ts';
import { mcpOAuth2 } from './mcp-oauth2.ts';
import { none } from './none.ts';
import { oauth2ClientCredentials } from './oauth2-cc.ts';
import { oauth2 } from './oauth2.ts';

/** Adding an auth mode is one file and one line here. */
export const authModes: ReadonlyMap<string, AuthMode> = new Map(
    [oauth2, oauth2ClientCredentials, apiKey, basic, none, app, custom, mcpOAuth2, mcpOAuth2Generic].map((mode) => [mode.name, mode]),
);
