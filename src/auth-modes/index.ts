import { apiKey } from './api-key.ts';
import type { AuthMode } from './auth-mode.ts';
import { basic } from './basic.ts';
import { none } from './none.ts';
import { oauth2 } from './oauth2.ts';

/** Adding an auth mode is one file and one line here. */
export const authModes: ReadonlyMap<string, AuthMode> = new Map([oauth2, apiKey, basic, none].map((mode) => [mode.name, mode]));
