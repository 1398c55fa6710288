/** API keys as the API shows them. The key itself is shown once, when it is made. */
import { z } from 'zod';
import type { RotatedKey } from '../../../environments/api-keys.ts';
import type { IssuedKey } from '../../../environments/issue-key.ts';
import type { ApiKeyRow } from '../../../store/schema.ts';

const Key = z.object({
    id: z.int(),
    display_name: z.string().meta({ examples: ['Continuous integration'] }),
    scopes: z.array(z.string()).meta({ examples: [['environment:connections:read']] }),
    created_at: z.iso.datetime(),
    last_used_at: z.iso.datetime().nullable().describe('Written at most once a minute.'),
    last_used_ip: z.string().nullable(),
    expires_at: z.iso.datetime().nullable(),
    allowed_cidrs: z.array(z.string()).nullable().describe('`null`: from anywhere.'),
    origin: z.enum(['first_start', 'created', 'configured']).meta({
        description: '`configured`: fixed by VALETKEY_SECRET_KEY_<ENV> or VALETKEY_ACCOUNT_KEY, and changed only there.',
        examples: ['created'],
    }),
    replaced_at: z.iso
        .datetime()
        .nullable()
        .meta({ description: 'When it was rotated; it works until `expires_at`.', examples: [null] }),
});

const NewKey = z.object({
    ...Key.pick({ id: true, display_name: true, scopes: true }).shape,
    secret: z.string().meta({ description: 'The key, shown this once.', examples: ['vk_dev_…'] }),
    created_at: z.iso.datetime(),
    expires_at: z.iso.datetime().optional().describe('Present when it expires.'),
    allowed_cidrs: z.array(z.string()).optional().describe('Present when it is restricted.'),
});

export const KeyAnswer = z.object({ data: Key });
export const KeysAnswer = z.object({ data: z.array(Key) });
export const NewKeyAnswer = z.object({ data: NewKey });
export const RotatedKeyAnswer = z.object({
    data: z.object({ ...NewKey.shape, predecessor: z.object({ id: z.int(), expires_at: z.iso.datetime() }) }),
});
export const Deleted = z.object({ success: z.literal(true) });

export const keyView = (row: ApiKeyRow): z.output<typeof Key> => ({
    id: row.public_id,
    display_name: row.display_name,
    scopes: row.scopes,
    created_at: row.created_at.toISOString(),
    last_used_at: row.last_used_at?.toISOString() ?? null,
    last_used_ip: row.last_used_ip,
    expires_at: row.expires_at?.toISOString() ?? null,
    allowed_cidrs: row.allowed_cidrs,
    origin: row.origin,
    replaced_at: row.replaced_at?.toISOString() ?? null,
});

/** What the contract shows, and what was asked for beyond it. */
export const newKeyView = ({ row, secret }: IssuedKey): z.output<typeof NewKey> => ({
    id: row.public_id,
    display_name: row.display_name,
    scopes: row.scopes,
    secret,
    created_at: row.created_at.toISOString(),
    ...(row.expires_at === null ? {} : { expires_at: row.expires_at.toISOString() }),
    ...(row.allowed_cidrs === null ? {} : { allowed_cidrs: row.allowed_cidrs }),
});

export const rotatedKeyView = (rotated: RotatedKey): z.output<typeof RotatedKeyAnswer>['data'] => ({
    ...newKeyView(rotated),
    predecessor: { id: rotated.predecessor.id, expires_at: rotated.predecessor.expiresAt.toISOString() },
});
