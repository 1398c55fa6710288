/** POST /auth/aws-sigv4/:key: a role of the person's AWS account, proved by assuming it (http-api §12.2). */
import { z } from 'zod';
import type { Endpoint } from '../../endpoint.ts';
import type { Services } from '../../services.ts';
import { directAuth } from './direct-auth.ts';

export const connectWithAwsRole = (services: Services): Endpoint =>
    directAuth(services, {
        path: '/auth/aws-sigv4/:providerConfigKey',
        mode: 'AWS_SIGV4',
        operationId: 'connectWithAwsRole',
        summary: 'Connect with an IAM role',
        body: z.strictObject({
            role_arn: z.string().min(1).max(2048).describe('Its trust policy allows the external id of this connection.'),
            region: z
                .string()
                .regex(/^[a-z0-9-]{1,64}$/)
                .optional(),
        }),
        errors: {
            400: [
                'missing_aws_sigv4_service',
                'missing_aws_sigv4_sts_endpoint',
                'missing_aws_sigv4_builtin_credentials',
                'missing_aws_sigv4_region',
                'invalid_aws_sigv4_config',
            ],
            502: ['aws_sigv4_sts_request_failed'],
        },
    });
