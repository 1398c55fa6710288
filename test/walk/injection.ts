/** A call to a connected provider's API, as a proxy would make it: credentials in their place, through the app's own way out. */
import { join } from 'node:path';
import { authenticatedRequest } from '../../src/auth-modes/authenticated-request.ts';
import { openIntegration } from '../../src/auth-modes/open-integration.ts';
import type { Credentials } from '../../src/credentials/credential.ts';
import { createEgress, type Egress } from '../../src/egress/egress.ts';
import { loadCatalogue, type Catalogue } from '../../src/providers/catalogue.ts';
import { ApiRequestError } from '../../src/providers/api-request.ts';
import { TemplateError } from '../../src/providers/url-template.ts';
import { systemSources, type Sources } from '../../src/sources.ts';
import * as integrations from '../../src/store/integrations.ts';
import { noClients } from '../auth-modes/no-clients.ts';
import type { TestApp } from '../http/app.ts';
import { Failed } from './ways.ts';

export interface Connected {
    credentials: Record<string, unknown>;
    connection_config: Record<string, unknown>;
}

export class Injection {
    readonly #valetkey: TestApp;
    readonly #egress: Egress;
    readonly #catalogue: Catalogue;
    readonly #environmentId: string;
    readonly #sources: Sources;

    private constructor(valetkey: TestApp, egress: Egress, environmentId: string, sources: Sources) {
        this.#sources = sources;
        this.#valetkey = valetkey;
        this.#egress = egress;
        this.#environmentId = environmentId;
        this.#catalogue = loadCatalogue({ builtin: join(import.meta.dirname, '../../providers.yaml'), isPlainHttpAllowed: () => false });
    }

    static async open(valetkey: TestApp, twinServer: URL, sources: Sources = systemSources): Promise<Injection> {
        const egress = createEgress({ allow: ['127.0.0.0/8'], sources, userAgent: 'valetkey walk', reroute: twinServer });
        const [environment] = await valetkey.query<{ id: string }>("select id from environments where name = 'dev'");
        return new Injection(valetkey, egress, environment!.id, sources);
    }

    /** @returns whether the entry has an API to call. @throws Failed when the provider does not know the caller */
    async call(slug: string, { credentials, connection_config: connectionConfig }: Connected): Promise<boolean> {
        const provider = this.#catalogue.get(slug)!;
        if (provider.proxyBaseUrl === undefined) return false;
        const row = await integrations.findByKey(this.#valetkey.app.database.db, this.#environmentId, slug);
        const integration = await openIntegration(this.#valetkey.vault, row!, false);
        const context = { provider, integration, connectionConfig, egress: this.#egress, clients: noClients, sources: this.#sources };
        const { body, ...request } = await authenticatedRequest(context, credentials as unknown as Credentials, {
            endpoint: '/walked',
            // A key that belongs into the body needs one.
            ...(provider.entry.proxy?.body === undefined
                ? { method: 'GET' }
                : { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"walked":true}' }),
        }).catch((error: unknown) => {
            throw error instanceof TemplateError || error instanceof ApiRequestError
                ? new Failed(`no API call could be made: ${error.message}`)
                : error;
        });
        const { status, body: answer } = await this.#egress.request({ ...request, ...(body === undefined ? {} : { body }) });
        if (status !== 200) throw new Failed(`an API call was answered ${status}: ${answer.toString('utf8').slice(0, 200)}`);
        return true;
    }

    close(): Promise<void> {
        return this.#egress.close();
    }
}
