/** The twin of each entry: what its auth mode serves, what its provider does otherwise, what hooks ask for, and its API. */
import { apiEndpoints } from './api.ts';
import type { Entry } from './entry.ts';
import { lookupsOf } from './lookups.ts';
import { awsSigV4 } from './modes/aws-sigv4.ts';
import { bill } from './modes/bill.ts';
import { githubApp } from './modes/github-app.ts';
import { installPlugin } from './modes/install-plugin.ts';
import { mcp, mcpGeneric } from './modes/mcp.ts';
import { oauth1 } from './modes/oauth1.ts';
import { oauth2ClientCredentials } from './modes/oauth2-cc.ts';
import { oauth2 } from './modes/oauth2.ts';
import { twoStep } from './modes/two-step.ts';
import { specials } from './special/index.ts';
import type { Endpoint, EndpointKind } from './twin.ts';

/** What was typed in, or is signed locally, is judged at the API. */
const none = (): Endpoint[] => [];

const modes: Readonly<Record<string, (entry: Entry) => Endpoint[]>> = {
    OAUTH2: oauth2,
    OAUTH2_CC: oauth2ClientCredentials,
    OAUTH1: oauth1,
    TWO_STEP: twoStep,
    MCP_OAUTH2: mcp,
    MCP_OAUTH2_GENERIC: mcpGeneric,
    APP: githubApp,
    CUSTOM: githubApp,
    INSTALL_PLUGIN: installPlugin,
    BILL: bill,
    AWS_SIGV4: awsSigV4,
    API_KEY: none,
    BASIC: none,
    JWT: none,
    SIGNATURE: none,
    TBA: none,
    NONE: none,
};

/** These come in addition, whatever else there is of their kind. */
const additional: ReadonlySet<EndpointKind> = new Set(['lookup', 'metadata', 'revoke']);

export function endpointsOf(entry: Entry): Endpoint[] {
    const mode = modes[entry.auth_mode];
    if (mode === undefined) throw new Error(`The auth mode ${entry.auth_mode} of "${entry.slug}" has no twin.`);
    const special = (specials[entry.slug] ?? none)(entry);
    const replaced = new Set(special.map(({ kind }) => kind).filter((kind) => !additional.has(kind)));
    return [...special, ...mode(entry).filter(({ kind }) => !replaced.has(kind)), ...lookupsOf(entry), ...apiEndpoints(entry)];
}
