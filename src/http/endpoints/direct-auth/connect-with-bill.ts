/** POST /auth/bill/:key: a login that is proved by logging in (http-api §12.2). */
import { z } from 'zod';
import type { Endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';
import { directAuth } from './direct-auth.ts';

const text = z.string().min(1).max(1024);

export const connectWithBill = (services: Services): Endpoint =>
    directAuth(services, {
        path: '/auth/bill/:providerConfigKey',
        mode: 'BILL',
        operationId: 'connectWithBill',
        summary: 'Connect with a login of BILL',
        body: z.strictObject({ username: text, password: text, organization_id: text, dev_key: text }),
        errors: { 400: ['invalid_credentials'] },
    });
