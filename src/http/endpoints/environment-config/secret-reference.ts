/** What stands in a document where a secret would. */
import { z } from 'zod';

export const SecretReference = z
    .strictObject({
        secret: z
            .string()
            .min(1)
            .max(1000)
            .meta({ examples: ['integrations.github-prod.client_secret'] }),
    })
    .describe('Names the entry of `secrets` that has the value. Without such an entry the stored value stays.');
