/** The endpoints of the catalogue (http-api §3, §6). */
import type { Endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';
import { exportProviders } from './export-providers.ts';
import { listProviders } from './list-providers.ts';
import { PublicCatalogue } from './public-catalogue.ts';
import { readProvider } from './read-provider.ts';

export function providerEndpoints(services: Services): Endpoint[] {
    const catalogue = new PublicCatalogue(services);
    return [listProviders(services, catalogue), readProvider(services, catalogue), exportProviders(catalogue)];
}
